"""MLflow by plain HTTP: who it says it is, what it takes, and what it leaves to MLflow's own client."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from model_server.rest import Rest, is_plain

Answers = Callable[[str, dict[str, list[str]]], object]


@contextmanager
def server(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """A server whose answers, JSON or (status, JSON), a function makes; its address, and the credentials it got."""
    sent: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("Authorization", ""))
            asked = urlsplit(self.path)
            content = answers(asked.path, parse_qs(asked.query))
            status, content = content if isinstance(content, tuple) else (200, content)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", sent
        running.shutdown()
        thread.join()


VERSION = {
    "model_version": {"name": "cars", "version": "3", "run_id": "ab", "tags": [{"key": "sha256", "value": "12"}]}
}


@pytest.mark.parametrize(
    ("environment", "credentials"),
    [
        ({}, ""),
        ({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "é"}, "Basic YW5uOsOp"),
        ({"MLFLOW_TRACKING_TOKEN": "abc"}, "Bearer abc"),
    ],
)
def test_a_version_is_found_with_the_credentials_of_the_environment(
    environment: dict[str, str], credentials: str
) -> None:
    with server(lambda path, query: VERSION) as (uri, sent):
        assert Rest(uri, 5, environment).version("cars", 3) == ("ab", {"sha256": "12"})
    assert sent == [credentials]


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "..", "a/b"])
def test_a_file_is_written_nowhere_but_into_the_folder(name: str, tmp_path: Path) -> None:
    def answers(path: str, query: dict[str, list[str]]) -> object:
        if path.endswith("get-download-uri"):
            return {"artifact_uri": "mlflow-artifacts:/1/model"}
        return {"files": [{"path": name, "is_dir": False}]}

    with server(answers) as (uri, _), pytest.raises(ValueError, match="which is no name of a file"):
        Rest(uri, 5, {}).download("cars", 3, "", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "artifacts", ["s3://bucket/model", "/mnt/model", "mlflow-artifacts://other:5000/model", "mlflow-artifacts:/empty"]
)
def test_what_the_server_does_not_hand_out_itself_is_left_to_mlflows_client(artifacts: str, tmp_path: Path) -> None:
    with server(lambda path, query: {"artifact_uri": artifacts}) as (uri, _):
        assert not Rest(uri, 5, {}).download("cars", 3, "", tmp_path)


def test_a_refusal_says_what_the_server_said() -> None:
    with (
        server(lambda path, query: (404, {"message": "no version 9"})) as (uri, _),
        pytest.raises(requests.HTTPError, match="HTTP 404: no version 9") as raised,
    ):
        Rest(uri, 5, {}).version("cars", 9)
    assert raised.value.response.status_code == 404


@pytest.mark.parametrize(
    ("uri", "environment", "plain"),
    [
        ("http://mlflow:5000", {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "x"}, True),
        ("https://mlflow", {"MLFLOW_TRACKING_TOKEN": "x", "MLFLOW_TRACKING_AUTH": ""}, True),
        ("https://mlflow", {"MLFLOW_TRACKING_AUTH": "kubernetes"}, False),
        ("https://mlflow", {"MLFLOW_TRACKING_INSECURE_TLS": "true"}, False),
        ("https://mlflow", {"MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem"}, False),
        ("https://mlflow", {"MLFLOW_WORKSPACE": "team"}, False),
        ("databricks://profile", {}, False),
        ("sqlite:///mlflow.db", {}, False),
    ],
)
def test_what_only_mlflows_client_knows_is_left_to_it(
    uri: str, environment: dict[str, str], plain: bool, tmp_path: Path
) -> None:
    assert is_plain(uri, environment, tmp_path) is plain
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").touch()
    assert not is_plain(uri, environment, tmp_path)
