"""What takes something away: only what is asked for no longer, only when confirmed, and never a volume."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import argocd, down, remove
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.repository import Repository
from cluster.settings import Settings
from tests.support.settings import changed
from tests.unit.cluster.argocd import APPLICATIONS, application, argocd_did, finalizing, operation, server
from tests.unit.cluster.conftest import HEAD, URL
from tests.unit.cluster.front import Front

OLD = "a" * 40


def ignore(line: str) -> None:
    """Nobody listens."""


def cluster_secret(**environments: str) -> dict[str, Any]:
    """The Secret by which Argo CD knows this cluster."""
    labels = {f"yolo-lifecycle/environment-{name}": value for name, value in environments.items()}
    return {"metadata": {"name": "in-cluster", "labels": {"argocd.argoproj.io/secret-type": "cluster", **labels}}}


def test_what_git_asks_for_is_not_removed(kubectl: Kubectl, front: Front, repository: Repository) -> None:
    front.call("POST", APPLICATIONS, server("production/detector"))
    front.call("POST", "/api/v1/namespaces/argocd/secrets", cluster_secret(production="true"))
    before = list(front.writes)
    with pytest.raises(ClusterError, match="take argocd-apps/production/detector out of main and push"):
        remove.remove(kubectl, repository, ignore, "production/detector", "front")
    for app, said in {"production": "must be <environment>/<app>", "staging/other": "production/detector"}.items():
        with pytest.raises(ClusterError, match=said):
            remove.remove(kubectl, repository, ignore, app, "front")
    assert front.writes == before


@pytest.mark.parametrize("how", ["the folder left Git", "the environment is off"])
def test_what_git_no_longer_asks_for_is_removed_when_a_person_says_so(
    kubectl: Kubectl, front: Front, repository: Repository, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    front.call("POST", APPLICATIONS, server("production/detector"))
    front.call("POST", APPLICATIONS, server("staging/detector"))
    off = how == "the environment is off"
    front.call("POST", "/api/v1/namespaces/argocd/secrets", cluster_secret(production="false" if off else "true"))
    if not off:
        monkeypatch.setattr(Repository, "files", lambda self: ["argocd-apps/staging/detector/values.yaml"])
    with pytest.raises(ClusterError, match="APP=production/detector CONFIRM=front"):
        remove.remove(kubectl, repository, ignore, "production/detector", "")
    with finalizing(front) as gone:
        remove.remove(kubectl, repository, ignore, "production/detector", "front")
    assert gone == ["production-detector"], "with all that it had made"
    assert [each["metadata"]["name"] for each in kubectl.list("applications.argoproj.io", "argocd")] == [
        "staging-detector"
    ]


@pytest.mark.parametrize("how", ["left out", "the file left Git"])
def test_a_part_of_the_platform_goes_once_the_root_no_longer_brings_it(
    kubectl: Kubectl, front: Front, repository: Repository, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    root, monitoring = application("platform"), application("monitoring")
    monitoring["spec"]["project"] = "yolo-platform"
    front.call("POST", APPLICATIONS, root)
    front.call("POST", APPLICATIONS, monitoring)
    with pytest.raises(ClusterError, match=r"set platform\.monitoring = false"):
        remove.remove(kubectl, repository, ignore, "platform/monitoring", "front")
    if how == "left out":
        directory = {"spec": {"source": {"directory": {"exclude": "platform/monitoring.yaml"}}}}
        front.call("PATCH", f"{APPLICATIONS}/platform", directory)
    else:
        monkeypatch.setattr(Repository, "files", lambda self: [])
    with finalizing(front) as gone:
        remove.remove(kubectl, repository, ignore, "platform/monitoring", "front")
    assert gone == ["monitoring"]


def test_going_down_wants_the_context_s_name_and_spares_the_data(
    settings: Settings, kubectl: Kubectl, front: Front
) -> None:
    argocd_did(front, settings, application("platform"))
    appset = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "model-servers"}}
    front.call("POST", APPLICATIONS.replace("applications", "applicationsets"), appset)
    front.call("POST", "/api/v1/namespaces/platform/secrets", {"metadata": {"name": "postgresql"}})
    before = list(front.writes)
    with pytest.raises(ClusterError, match="CONFIRM=front"):
        down.down(settings, kubectl, ignore, "")
    assert front.writes == before
    said: list[str] = []
    with finalizing(front) as gone:
        down.down(settings, kubectl, said.append, "front")
    assert kubectl.list("applications.argoproj.io", "argocd") == []
    assert sorted(gone) == ["production-detector", "staging-detector"]
    assert kubectl.secret("platform", "postgresql") is not None
    deleted = [line.split()[-1] for line in said if line.startswith("deleting ")]
    assert deleted[0] == "platform", "else it would bring back the others"
    assert deleted.index("model-servers") < deleted.index("staging/detector"), "else it would make them again"
    assert deleted.index("airflow") < deleted.index("postgresql") < deleted.index("argo-cd")


def minutes_ago(minutes: float) -> str:
    """A time as Argo CD writes it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("sync", "state", "ago", "why"),
    [
        ("Synced", {"phase": "Succeeded"}, None, ""),
        ("OutOfSync", {"phase": "Failed"}, None, "its last sync failed"),
        ("Synced", {"phase": "Failed"}, None, ""),
        ("OutOfSync", {"phase": "Running", "syncResult": {"revision": HEAD}}, ("startedAt", 1), ""),
        ("OutOfSync", {"phase": "Running", "syncResult": {"revision": HEAD}}, ("startedAt", 11), "its sync runs"),
        ("OutOfSync", {"phase": "Running", "syncResult": {"revision": OLD}}, ("startedAt", 1), "aaaaaaaaaaaa"),
        ("OutOfSync", {"phase": "Running", "syncResult": {"revisions": ["1.22.0", HEAD]}, "startedAt": "-"}, None, ""),
        ("OutOfSync", {"phase": "Running"}, ("finishedAt", 0), "waits for the next try"),
    ],
)
def test_a_sync_that_hangs_is_told_from_one_that_runs(
    sync: str, state: dict[str, Any], ago: tuple[str, float] | None, why: str
) -> None:
    # Minutes before the test, which may run long after its parameters were read.
    times = {ago[0]: minutes_ago(ago[1])} if ago else {}
    found = argocd.hangs(application("airflow", sync, operationState={**state, **times}), {HEAD}, URL)
    assert (why in found) and bool(found) is bool(why)


def test_a_hanging_sync_is_ended_and_a_new_one_started(kubectl: Kubectl, front: Front) -> None:
    hanging = application("airflow", "OutOfSync", operationState=operation("Running"))
    hanging["spec"]["syncPolicy"] = {
        "automated": {"prune": True}, "syncOptions": ["ServerSideApply=true"], "retry": {"limit": -1, "refresh": True},
    }  # fmt: skip
    front.call("POST", APPLICATIONS, hanging)
    with pytest.raises(ClusterError, match="did not end"):
        argocd.sync(kubectl, "airflow", timeout=0.01, interval=0.02)
    found = kubectl.get("applications.argoproj.io", "airflow", "argocd")
    assert found is not None and found["status"]["operationState"]["phase"] == "Terminating"
    front.call("PATCH", f"{APPLICATIONS}/airflow", {"status": {"operationState": {"phase": "Failed"}}})
    argocd.sync(kubectl, "airflow")
    found = kubectl.get("applications.argoproj.io", "airflow", "argocd")
    assert found is not None and found["operation"] == {
        "initiatedBy": {"username": "cluster-up"},
        "retry": {"limit": -1, "refresh": True},
        "sync": {"prune": True, "syncOptions": ["ServerSideApply=true"]},
    }


def test_what_another_installed_is_not_named_as_left(settings: Settings, kubectl: Kubectl, front: Front) -> None:
    said: list[str] = []
    down.down(changed(settings, **{"platform.argocd": False}), kubectl, said.append, "front")
    text = "\n".join(said)
    assert "helm uninstall" not in text
    assert "delete namespace platform monitoring lifecycle cnpg-system staging production" in text
