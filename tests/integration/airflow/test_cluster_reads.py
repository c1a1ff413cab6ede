"""Where a model answers, read from the cluster's Services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Servers


@pytest.fixture
def cluster(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Any:
    from lifecycle.hooks.kubernetes import ClusterHook

    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(servers.account)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    return ClusterHook("kubernetes_default")


def service(servers: Servers, name: str, app: str) -> str:
    labels = {"app.kubernetes.io/instance": app, "app.kubernetes.io/component": "digits"}
    ports = [{"name": "http", "port": 8000}, {"name": "grpc", "port": 8001}, {"name": "metrics", "port": 8002}]
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "sandbox", "labels": labels},
        "spec": {"selector": labels, "ports": ports},
    }
    made = servers.kube.request("POST", "api/v1/namespaces/sandbox/services", manifest)
    return str(made["spec"]["clusterIP"])


def test_endpoint_is_the_services_address_and_named_ports(servers: Servers, cluster: Any) -> None:
    from lifecycle.model.target import Target

    address = service(servers, "one-digits", "one")
    found = cluster.endpoint(Target("sandbox", "one", "digits"))
    assert (found.url, found.grpc_url) == (f"http://{address}:8000", f"{address}:8001")
    assert cluster.pods(Target("sandbox", "one", "digits")) == []


def test_no_service_and_several_are_told_with_what_was_looked_for(servers: Servers, cluster: Any) -> None:
    from lifecycle.errors import ClusterError
    from lifecycle.model.target import Target

    with pytest.raises(ClusterError, match=r"instance=none,.*component=digits in namespace 'sandbox', found none"):
        cluster.endpoint(Target("sandbox", "none", "digits"))
    for name in ("two-digits", "two-digits-again"):
        service(servers, name, "two")
    with pytest.raises(ClusterError, match="found two-digits, two-digits-again"):
        cluster.endpoint(Target("sandbox", "two", "digits"))
