"""Bringing it up: stops before it changes anything, goes on where it left off, and says what is not healthy and why."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cluster import check, down, places, up
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from tests.support.settings import changed
from tests.unit.cluster.front import Front

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
GIT = {"GIT_USERNAME": "bot", "GIT_TOKEN": "s3cr3t"}
# Stands in for Helm, which cannot fetch a chart here: it notes how it was called, and makes the two Deployments that
# cluster-up waits for, without pods.
HELM = """#!/bin/sh
echo "$@" >> "$HELM_CALLS"
kubectl apply --server-side --filename "$HELM_OBJECTS" >/dev/null
"""


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that lists the calls of `helm`, one a line."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "helm"
    program.write_text(HELM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("HELM_CALLS", str(calls))
    objects = tmp_path / "objects.yaml"
    names = ("argocd-server", "argocd-repo-server")
    objects.write_text("\n---\n".join(json.dumps(without_pods(name)) for name in names))
    monkeypatch.setenv("HELM_OBJECTS", str(objects))
    return calls


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork whose files and repository are in order; test_cluster_check.py looks at that part."""
    monkeypatch.setattr(check, "before_cluster", lambda settings: iter([]))


def application(name: str, sync: str = "Synced", health: str = "Healthy", **status: Any) -> dict[str, Any]:
    """An Application as Argo CD leaves it."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"project": "default"},
        "status": {"sync": {"status": sync}, "health": {"status": health}, **status},
    }


def without_pods(name: str) -> dict[str, Any]:
    """A Deployment that is rolled out at once."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": "python"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    metadata = {"name": name, "namespace": "argocd"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def argocd_did(front: Front, **special: dict[str, Any]) -> None:
    """Play Argo CD: the Applications that the root brings."""
    for name in up.applications():
        if special.get(name) != {}:
            front.call("POST", APPLICATIONS, special.get(name) or application(name))


def test_the_waves_are_in_order() -> None:
    names = up.applications()
    assert names[0] == "argo-cd"
    assert names[-1] == "yolo-lifecycle"
    assert names.index("monitoring") < names.index("yolo-lifecycle")
    assert names.index("postgresql") < names.index("mlflow") < names.index("airflow")


@pytest.mark.parametrize("broken", ["version", "rights", "storage", "secret", "settings"])
def test_it_stops_before_it_changes_anything(
    settings: Settings,
    kubectl: Kubectl,
    front: Front,
    helm: Path,
    ready: None,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    if broken == "version":
        front.minor = "27"
    elif broken == "rights":
        front.denied = {"* *", "create namespaces"}
    elif broken == "storage":
        front.classes = []
    elif broken == "settings":
        monkeypatch.setattr(check, "before_cluster", lambda settings: iter([check.fail("a placeholder")]))
    said: list[str] = []
    with pytest.raises(ClusterError, match="nothing was changed"):
        up.up(settings, kubectl, said.append, {} if broken == "secret" else GIT)
    assert front.writes == []
    assert helm.read_text() == ""
    assert any(line.startswith("fail") for line in said)


def test_an_empty_cluster_is_brought_up_and_a_second_time_left_as_it_is(
    settings: Settings, kubectl: Kubectl, front: Front, helm: Path, ready: None
) -> None:
    argocd_did(front)
    said: list[str] = []
    up.up(settings, kubectl, said.append, GIT, timeout=20)
    [call] = helm.read_text().splitlines()
    repository, version = up.chart_of_argocd()
    assert f"upgrade --install argocd argo-cd --repo {repository} --version {version} --namespace argocd" in call
    assert "charts/platform/argo-cd.yaml" in call
    root = kubectl.get("application.argoproj.io", "platform", "argocd")
    assert root is not None
    assert root["spec"]["source"]["path"] == "argocd-apps"
    assert any("made Secret postgresql" in line for line in said)
    assert not any("s3cr3t" in line for line in said)
    before, passwords = len(front.writes), kubectl.secret("platform", "postgresql")
    again: list[str] = []
    up.up(settings, kubectl, again.append, {}, timeout=20)
    assert kubectl.secret("platform", "postgresql") == passwords
    assert len(helm.read_text().splitlines()) == 1, "Argo CD looks after itself"
    assert {re.sub(r"\?.*", "", write) for write in front.writes[before:]} == {
        "PATCH /apis/argoproj.io/v1alpha1/namespaces/argocd/applications/platform"
    }
    assert not any("made Secret" in line for line in again)


def test_what_is_not_healthy_is_named_with_what_argo_cd_says(kubectl: Kubectl, front: Front) -> None:
    failed = {"phase": "Failed", "message": "secret airflow-metadata not found"}
    pod = {"kind": "Deployment", "name": "mlflow", "health": {"status": "Degraded", "message": "ImagePullBackOff"}}
    special = {
        "airflow": application("airflow", "OutOfSync", "Missing", operationState=failed),
        "mlflow": application("mlflow", "Synced", "Degraded", resources=[pod]),
        "yolo-lifecycle": {},
    }
    argocd_did(front, **special)
    with pytest.raises(ClusterError) as found:
        up.wait(kubectl, up.applications(), lambda line: None, timeout=0.0, interval=0.0)
    text = str(found.value)
    assert "airflow: secret airflow-metadata not found" in text
    assert "mlflow: Deployment mlflow is Degraded ImagePullBackOff" in text
    assert "yolo-lifecycle: not there, because a wave before it is not healthy" in text
    assert "postgresql" not in text


def test_going_down_wants_the_context_s_name_and_spares_the_data(
    settings: Settings, kubectl: Kubectl, front: Front
) -> None:
    argocd_did(front)
    front.call("POST", APPLICATIONS, application("platform"))
    front.call("POST", "/api/v1/namespaces/platform/secrets", {"metadata": {"name": "postgresql"}})
    before = list(front.writes)
    with pytest.raises(ClusterError, match="CONFIRM=front"):
        down.down(settings, kubectl, lambda line: None, "")
    assert front.writes == before
    said: list[str] = []
    down.down(settings, kubectl, said.append, "front")
    assert kubectl.list("applications.argoproj.io", "argocd") == []
    assert kubectl.secret("platform", "postgresql") is not None
    deleted = [line.split()[-1] for line in said if line.startswith("deleting application ")]
    assert deleted[0] == "platform", "else it would bring back the others"
    assert deleted.index("airflow") < deleted.index("postgresql") < deleted.index("argo-cd")


@pytest.mark.parametrize("ingress", [True, False])
def test_places_are_told_without_a_password(settings: Settings, ingress: bool) -> None:
    lines = places.places(changed(settings, **{"ingress.enabled": ingress}), "front")
    text = "\n".join(lines)
    assert ("https://airflow.example.com" in text) is ingress
    assert "kubectl --context front -n platform port-forward service/mlflow 5000:5000" in text
    assert "kubectl --context front -n platform get secret airflow-admin" in text
