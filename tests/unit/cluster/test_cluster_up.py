"""Bringing it up: stops before it changes anything, goes on where it left off, and says what is not healthy and why."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import check, places, up
from cluster.errors import ClusterError
from cluster.findings import fail
from cluster.kubectl import Kubectl
from cluster.repository import Repository
from cluster.settings import Settings
from cluster.wait import wait
from tests.support.settings import changed
from tests.unit.cluster.argocd import APPLICATIONS, application, argocd_did, operation, server
from tests.unit.cluster.front import Front

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
    monkeypatch.setattr(check, "before_cluster", lambda settings, variables: iter([]))


def without_pods(name: str) -> dict[str, Any]:
    """A Deployment that is rolled out at once."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": "python"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    metadata = {"name": name, "namespace": "argocd", "annotations": {"yolo-lifecycle/installed-by": "cluster-up"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def test_the_waves_are_in_order_and_without_what_others_run(settings: Settings) -> None:
    names = up.applications(settings)
    assert names[0] == "argo-cd"
    assert names[-1] == "yolo-lifecycle"
    assert names.index("monitoring") < names.index("yolo-lifecycle")
    assert names.index("postgresql") < names.index("mlflow") < names.index("airflow")
    fewer = up.applications(changed(settings, **{"platform.argocd": False, "platform.monitoring": False}))
    assert set(names) - set(fewer) == {"argo-cd", "monitoring"}


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
        monkeypatch.setattr(check, "before_cluster", lambda settings, variables: iter([fail("a placeholder")]))
    said: list[str] = []
    with pytest.raises(ClusterError, match="nothing was changed"):
        up.up(settings, kubectl, said.append, {} if broken == "secret" else GIT)
    assert front.writes == []
    assert helm.read_text() == ""
    assert any(line.startswith("fail") for line in said)


def test_an_empty_cluster_is_brought_up_and_a_second_time_left_as_it_is(
    settings: Settings, kubectl: Kubectl, front: Front, repository: Repository, helm: Path, ready: None
) -> None:
    argocd_did(front, settings)
    said: list[str] = []
    up.up(settings, kubectl, said.append, GIT, timeout=20)
    [call] = helm.read_text().splitlines()
    charts, version = up.chart_of_argocd()
    assert f"upgrade --install argocd argo-cd --repo {charts} --version {version} --namespace argocd" in call
    assert "charts/platform/argo-cd.yaml" in call
    root = kubectl.get("application.argoproj.io", "platform", "argocd")
    assert root is not None
    assert root["spec"]["source"]["path"] == "argocd-apps"
    assert any("made Secret postgresql" in line for line in said)
    assert not any("s3cr3t" in line for line in said)
    edit = '{"spec": {"source": {"targetRevision": "by-hand"}}}'
    edited = ("patch", "application.argoproj.io/platform", "--namespace=argocd", "--type=merge", f"--patch={edit}")
    kubectl.run(*edited, "--field-manager=argocd-server")
    before, passwords = len(front.writes), kubectl.secret("platform", "postgresql-airflow")
    again: list[str] = []
    up.up(settings, kubectl, again.append, {}, timeout=20)
    assert kubectl.secret("platform", "postgresql-airflow") == passwords
    assert kubectl.get("application.argoproj.io", "platform", "argocd")["spec"] == root["spec"]  # type: ignore[index]
    assert len(helm.read_text().splitlines()) == 1, "Argo CD manages itself"
    assert {re.sub(r"\?.*", "", write) for write in front.writes[before:]} == {
        "PATCH /apis/argoproj.io/v1alpha1/namespaces/argocd/applications/platform"
    }
    assert not any("made Secret" in line for line in again)


def test_what_argo_cd_gave_up_is_started_anew_and_nothing_else(
    settings: Settings, kubectl: Kubectl, front: Front, repository: Repository
) -> None:
    front.call("POST", APPLICATIONS, application("mlflow", "OutOfSync", operationState=operation("Failed")))
    front.call("POST", APPLICATIONS, application("somebody-else", "OutOfSync", operationState=operation("Failed")))
    front.call("POST", APPLICATIONS, application("airflow", operationState=operation("Succeeded")))
    said: list[str] = []
    up.unstick(settings, kubectl, repository, up.applications(settings), said.append)
    assert said == [f"{'mlflow':<22} its last sync failed; starting a new one"]
    started = [each for each in kubectl.list("applications.argoproj.io", "argocd") if "operation" in each]
    assert [each["metadata"]["name"] for each in started] == ["mlflow"]


def test_what_is_not_healthy_is_named_with_what_argo_cd_says(
    settings: Settings, kubectl: Kubectl, front: Front, repository: Repository
) -> None:
    failed = operation("Failed", message="secret airflow-metadata not found")
    argocd_did(
        front,
        settings,
        application("airflow", "OutOfSync", "Missing", operationState=failed),
        application("mlflow", "Synced", "Progressing"),
        without={"yolo-lifecycle"},
    )
    with pytest.raises(ClusterError) as found:
        wait(settings, kubectl, repository, up.applications(settings), lambda line: None, timeout=0.0)
    text = str(found.value)
    assert "airflow: secret airflow-metadata not found" in text
    assert "mlflow: Synced, Progressing" in text
    assert "yolo-lifecycle: not there, because a wave before it is not healthy" in text
    assert "postgresql" not in text


def test_healthy_at_an_older_commit_is_not_well_and_argo_cd_is_asked_to_look(
    settings: Settings, kubectl: Kubectl, front: Front, repository: Repository
) -> None:
    argocd_did(front, settings, application("airflow", revision="a" * 40))
    said: list[str] = []
    with pytest.raises(ClusterError, match="airflow: Synced, Healthy, at aaaaaaaaaaaa, main is at c0ffee000000"):
        wait(settings, kubectl, repository, up.applications(settings), said.append, timeout=0.0)
    assert [write for write in front.writes if "PATCH" in write] == [f"PATCH {APPLICATIONS}/airflow"]
    asked = kubectl.get("applications.argoproj.io", "airflow", "argocd")
    assert asked is not None
    assert asked["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal"


def test_an_environment_that_was_switched_off_and_other_peoples_applications_hold_nothing_up(
    settings: Settings, kubectl: Kubectl, front: Front, repository: Repository
) -> None:
    staging_only = replace(settings, environments={"staging": True, "production": False})
    foreign = application("somebody-else", "OutOfSync", "Degraded")
    argocd_did(front, settings, server("production/detector", "Unknown", "Healthy"), foreign)
    said: list[str] = []
    wait(staging_only, kubectl, repository, up.applications(staging_only), said.append, timeout=5.0)
    left = [line for line in said if "production-detector" in line]
    assert left == [
        f"{'production-detector':<22} is left over; `make cluster-remove APP=production/detector` takes it away"
    ]
    assert not any("somebody-else" in line for line in said)


@pytest.mark.parametrize("ingress", [True, False])
def test_places_are_told_without_a_password(settings: Settings, ingress: bool) -> None:
    lines = places.places(changed(settings, **{"ingress.enabled": ingress}), "front")
    text = "\n".join(lines)
    assert ("https://airflow.example.com" in text) is ingress
    assert "kubectl --context front -n platform port-forward service/mlflow 5000:5000" in text
    assert "kubectl --context front -n platform get secret airflow-admin" in text
    given = "\n".join(places.places(changed(settings, **{"platform.argocd": False}), "front"))
    assert "Argo CD" not in given and "Grafana" in given, "what another installed is known to them"
