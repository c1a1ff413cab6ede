"""Real Airflow, MLflow, git and the sandbox's Kubernetes; doubles of the trainer image, of Triton and of Argo CD."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import airflow_environment
from tests.integration.airflow.hand import Hand, Repository
from tests.integration.airflow.servers import Kube, Served, kube_server, mlflow_server, triton_double

NUMBERS = itertools.count(1)


@dataclass
class Servers:
    """What lives as long as the session."""

    mlflow_url: str
    kube: Kube
    served: Served


@dataclass
class Platform:
    """One test's own registered model and repository, on the session's servers."""

    servers: Servers
    model: str
    repository: Repository
    hand: Hand
    client: Any

    @property
    def served(self) -> Served:
        return self.servers.served

    def params(self, **changes: Any) -> dict[str, Any]:
        return {"registered_model": self.model, "hyperparameters": {"map50": 0.9}, **changes}

    def versions(self) -> list[int]:
        found = self.client.search_model_versions(f"name = '{self.model}'")
        return sorted(int(version.version) for version in found)

    def champion(self) -> str | None:
        aliases: dict[str, str] = self.client.get_registered_model(self.model).aliases
        return aliases.get("champion")


@dataclass
class Finished:
    """A DAG run that has ended."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    run_id: str
    pull: Callable[..., Any]
    text: str


Run = Callable[..., Finished]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    airflow_environment.migrate()
    with ExitStack() as stack:
        mlflow_url = stack.enter_context(mlflow_server(tmp_path_factory.mktemp("mlflow")))
        kube = stack.enter_context(kube_server(tmp_path_factory.mktemp("kube")))
        for name in ("lifecycle", "argocd", "sandbox"):
            kube.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        place = {"namespace": "lifecycle"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlflow", **place}}
        kube.apply("secrets", {**secret, "stringData": {"MLFLOW_TRACKING_URI": mlflow_url}})
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "workspace", **place}}
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        kube.apply("persistentvolumeclaims", {**claim, "spec": size})
        yield Servers(mlflow_url, kube, stack.enter_context(triton_double()))


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
    kubernetes = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(servers.kube.kubeconfig)}}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(tracking))
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(kubernetes))
    model = f"digits-detector-{next(NUMBERS)}"
    servers.served.version = None
    repository = Repository(tmp_path, model)
    configure(
        GITOPS_URL=repository.bare.as_uri(),
        SERVING_URL=servers.served.url,
        SERVING_GRPC_URL="127.0.0.1:1",
        RETRY_DELAY=0,
        ROLLOUT_TIMEOUT=20,
        ROLLOUT_POLL=0.2,
        ROLLOUT_SETTLE=0,
        VERIFY_TIMEOUT=3,
        MLFLOW_TIMEOUT=5,
        MLFLOW_RETRIES=0,
    )
    hand = Hand(repository, servers.kube, servers.served)
    hand.start()
    try:
        yield Platform(servers, model, repository, hand, MlflowClient(servers.mlflow_url))
    finally:
        hand.close()


@pytest.fixture
def run(platform: Platform, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a DAG to its end in this process; every task with Airflow's own task runner."""

    def finish(dag_id: str = "yolo_lifecycle", **params: Any) -> Finished:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(airflow_environment.ROOT / "dags"))
        assert bag.import_errors == {}
        capfd.readouterr()
        ended = bag.dags[dag_id].test(run_conf=params)
        said = capfd.readouterr()
        instances = ended.get_task_instances()
        by_id = {instance.task_id: instance for instance in instances}

        def pull(task_id: str, key: str = "return_value") -> Any:
            return by_id[task_id].xcom_pull(task_ids=task_id, key=key)

        return Finished(
            str(ended.state),
            {instance.task_id: str(instance.state) for instance in instances},
            {instance.task_id: instance.try_number for instance in instances},
            ended.run_id,
            pull,
            said.out + said.err,
        )

    return finish
