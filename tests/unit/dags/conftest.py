"""The DAGs as Airflow's own DAG processor reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_environment import ROOT

Load = Callable[..., Any]
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that names a cluster; building a pod asks for one without calling it."""
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(file)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Read DAGs under the given settings (`LIFECYCLE_*` without the prefix); fails on an import error."""
    from airflow.dag_processing.dagbag import DagBag
    from lifecycle.settings import settings

    def loaded(folder: Path = ROOT / "dags", **chosen: str) -> dict[str, Any]:
        for name, value in chosen.items():
            monkeypatch.setenv(f"LIFECYCLE_{name}", value)
        settings.cache_clear()
        bag = DagBag(str(folder))
        assert bag.import_errors == {}
        return dict(bag.dags)

    yield loaded
    settings.cache_clear()
