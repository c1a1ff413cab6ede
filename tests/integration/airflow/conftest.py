"""Real Airflow, MLflow, git and the sandbox's Kubernetes; doubles of the trainer image, of Triton and of Argo CD."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.account import make_account
from tests.integration.airflow.dag_runs import NUMBERS, Finished, Platform, Run, Servers, finish
from tests.integration.airflow.hand import Hand
from tests.integration.airflow.servers import kube_server, triton_doubles
from tests.support import airflow_environment
from tests.support.mlflow import Mlflow
from tests.support.paths import ROOT
from tests.support.release_repository import Repository

HERE = Path(__file__).parent
# Their further tests are about half of what this folder takes.
RELEASES = {
    "test_approval",
    "test_candidate",
    "test_later_stages",
    "test_promotion",
    "test_rollout",
    "test_yolo_rollback",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs what `make test` chooses and two the further ones: each makes database and servers once."""
    for item in items:
        if item.path.is_relative_to(HERE):
            apart = item.path.stem in RELEASES and item.get_closest_marker("extended")
            item.add_marker(pytest.mark.xdist_group("releases" if apart else "airflow"))


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, mlflow_server: Mlflow) -> Iterator[Servers]:
    airflow_environment.migrate()
    with ExitStack() as stack:
        kube = stack.enter_context(kube_server(tmp_path_factory.mktemp("kube")))
        for name in ("lifecycle", "argocd", "sandbox", "staging", "production"):
            kube.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        place = {"namespace": "lifecycle"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlflow", **place}}
        kube.apply("secrets", {**secret, "stringData": {"MLFLOW_TRACKING_URI": mlflow_server.uri}})
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "workspace", **place}}
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        kube.apply("persistentvolumeclaims", {**claim, "spec": size})
        account = make_account(kube, ["sandbox", "staging", "production"])
        paths = ("staging", "staging-candidate", "production", "production-candidate")
        staging, candidate, production, production_candidate = stack.enter_context(triton_doubles(*paths))
        yield Servers(mlflow_server.uri, kube, account, staging, candidate, production, production_candidate)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Change settings (`LIFECYCLE_*` without the prefix) for one test."""
    from lifecycle.settings import settings

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"LIFECYCLE_{name}", str(value))
        settings.cache_clear()

    yield change
    settings.cache_clear()


@pytest.fixture
def platform(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]
) -> Iterator[Platform]:
    from mlflow import MlflowClient

    host, port = servers.mlflow_url.removeprefix("http://").split(":")
    tracking = {"conn_type": "http", "host": host, "port": int(port), "schema": "http"}
    kubernetes = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(servers.account)}}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(tracking))
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(kubernetes))
    model = f"digits-detector-{next(NUMBERS)}"
    doubles = {
        "staging": (servers.served, servers.candidate),
        "production": (servers.production, servers.production_candidate),
    }
    for pair in doubles.values():
        for double in pair:
            double.version, double.source = None, ""
    repository = Repository(tmp_path, model)
    configure(
        GITOPS_URL=repository.bare.as_uri(),
        SERVING_URL=servers.served.url.replace("/staging", "/{environment}"),
        SERVING_GRPC_URL="127.0.0.1:1",
        CANDIDATE_URL=servers.candidate.url.replace("/staging", "/{environment}"),
        RETRY_DELAY=0,
        ROLLOUT_TIMEOUT=20,
        ROLLOUT_POLL=0.2,
        ROLLOUT_SETTLE=0,
        VERIFY_TIMEOUT=3,
        MLFLOW_TIMEOUT=5,
        MLFLOW_RETRIES=0,
    )
    hand = Hand(repository, servers.kube, doubles)
    hand.start()
    try:
        yield Platform(servers, model, repository, hand, MlflowClient(servers.mlflow_url))
    finally:
        hand.close()


@pytest.fixture
def released(platform: Platform, run: Run) -> Platform:
    """Version 1 is live in staging: by a run of the DAG for the worker's first test that asks, then by a copy of it."""
    if platform.servers.released:
        platform.release()
        return platform
    ended = run(**platform.params())
    assert ended.state == "success", ended.text[-5000:]
    platform.servers.released = f"models:/{platform.model}/1"
    return platform


@pytest.fixture
def run(platform: Platform, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a DAG to its end in this process; every task with Airflow's own task runner."""

    def ended(dag_id: str = "digits", folder: Path = ROOT / "dags", **params: Any) -> Finished:
        return finish(capfd, dag_id, params, folder)

    return ended
