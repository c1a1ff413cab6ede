"""MLflow servers as teams have them: what `open_run` says of one that could not take what a run leaves in it."""

from __future__ import annotations

import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support.mlflow import Mlflow


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def refused(client: Any, experiment: Any) -> str:
    """What the check says, which must refuse."""
    from lifecycle.errors import RegistryError
    from lifecycle.mlflow.server import check_server

    with pytest.raises(RegistryError) as caught:
        check_server(client, experiment)
    assert not caught.value.retryable
    return str(caught.value)


@pytest.fixture
def mlflow_2(mlflow_server: Mlflow) -> Iterator[str]:
    """The server without the routes of logged models, which MLflow 2 and Azure Machine Learning lack."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if "/logged-models" in self.path:
                # Word for word what a server of MLflow 2.22 answers.
                self.answer(404, b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n")
                return
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.forward(urllib.request.Request(f"{mlflow_server.uri}{self.path}", content, method="POST"))

        def do_GET(self) -> None:
            self.forward(urllib.request.Request(f"{mlflow_server.uri}{self.path}"))

        def forward(self, request: urllib.request.Request) -> None:
            request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.answer(answer.status, answer.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_serves_its_artifacts_is_taken(mlflow_server: Mlflow) -> None:
    from lifecycle.mlflow import runs
    from lifecycle.mlflow.server import check_server

    client = client_of(mlflow_server.uri)
    check_server(client, runs.open_experiment(client, "servers-good"))


def test_a_server_without_logged_models_is_told_from_one_that_is_down(mlflow_2: str) -> None:
    from lifecycle.mlflow import runs

    client = client_of(mlflow_2)
    said = refused(client, runs.open_experiment(client, "servers-old"))
    assert "knows no logged models (HTTP 404): it is MLflow 2" in said and "Run an MLflow 3 server" in said


def test_an_experiment_whose_location_was_frozen_on_the_servers_disk(mlflow_server: Mlflow) -> None:
    client = client_of(mlflow_server.uri)
    for number, location in enumerate(("/srv/mlruns/7", "file:///srv/mlruns/7")):
        experiment = client.get_experiment(client.create_experiment(f"servers-frozen-{number}", location))
        said = refused(client, experiment)
        assert f"go to {location}, a folder on the server's own disk" in said and "rename this experiment" in said


def test_a_store_that_the_pods_reach_by_themselves_is_theirs_to_try(mlflow_server: Mlflow) -> None:
    from lifecycle.mlflow.server import check_server

    client = client_of(mlflow_server.uri)
    check_server(client, client.get_experiment(client.create_experiment("servers-s3", "s3://bucket/mlflow")))


@pytest.mark.extended
def test_a_server_that_no_longer_serves_artifacts(tmp_path: Path) -> None:
    from lifecycle.mlflow import runs

    with Mlflow(tmp_path).running() as server:
        runs.open_experiment(client_of(server.uri), "before")
    plain = ("--no-serve-artifacts", "--default-artifact-root", str(tmp_path / "own"))
    with Mlflow(tmp_path, artifacts=plain).running() as server:
        client = client_of(server.uri)
        said = refused(client, runs.open_experiment(client, "before"))
        assert "go through the server (mlflow-artifacts:/" in said and "runs with --no-serve-artifacts" in said
        said = refused(client, runs.open_experiment(client, "new"))
        assert f"go to {tmp_path}/own/" in said and "which the pods cannot write to" in said


def pin(platform: Platform, version: int) -> None:
    """Put a version that MLflow may lack into git."""
    text = platform.repository.text().replace("version: null", f"version: {version}")
    text = text.replace('sha256: ""', f'sha256: "{"a" * 64}"').replace('runId: ""', 'runId: "r"')
    platform.repository.write(text)


def test_a_version_in_git_that_mlflow_lost_fails_before_anything_is_trained(platform: Platform, run: Run) -> None:
    pin(platform, 7)
    ended = run(**platform.params())
    assert (ended.state, ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", "failed", 1)
    said = one_line(ended.text)
    assert f"argocd-apps/staging/detector/values.yaml pins version 7 of '{platform.model}', which MLflow at" in said
    assert "Restore MLflow's backup" in said
    assert ended.tasks["prepare"] == "upstream_failed"


@pytest.mark.extended
def test_a_version_whose_files_mlflow_lost_fails_as_early(platform: Platform, run: Run, mlflow_server: Mlflow) -> None:
    assert run(**platform.params()).state == "success"
    (model,) = platform.client.search_logged_models(
        [platform.client.get_experiment_by_name(platform.model).experiment_id]
    )
    shutil.rmtree(mlflow_server.folder / "artifacts" / model.artifact_location.removeprefix("mlflow-artifacts:/"))
    ended = run(**platform.params())
    assert (ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", 1)
    assert "pins version 1" in one_line(ended.text) and "whose files MLflow at" in one_line(ended.text)
