"""The trigger against a real Kubernetes API: what it fires, and what it rides out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Servers
from tests.integration.airflow.servers import Kube
from tests.support.processes import free_port

NAME = "staging-detector"
PATH = "apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
WANTED, FORMER = "a" * 40, "b" * 40
Fire = Callable[..., dict[str, Any]]


@pytest.fixture
def kube(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kube]:
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(servers.account)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    yield servers.kube


def apply(kube: Kube, revision: str, **status: Any) -> None:
    kube.apply(
        "applications",
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": NAME, "namespace": "argocd"},
            "spec": {"project": "default", "destination": {"namespace": "staging", "name": "in-cluster"}},
        },
    )
    full = {"sync": {"status": "Synced", "revision": revision}, "health": {"status": "Healthy"}, **status}
    kube.request("PATCH", f"{PATH}/{NAME}", {"status": full}, "application/merge-patch+json")


def fire(seconds: float, meanwhile: Callable[[], None] | None = None, **changes: Any) -> dict[str, Any]:
    """Run the trigger to its event; `meanwhile` happens half a second after its start."""
    from lifecycle.triggers.application import ApplicationTrigger

    arguments = {
        "kubernetes_conn_id": "kubernetes_default",
        "namespace": "argocd",
        "application": NAME,
        "accepted": [WANTED],
        "older": [],
        "deadline": time.time() + seconds,
        "pods_namespace": "lifecycle",
        "pods_selector": "app.kubernetes.io/instance=detector",
        "poll": 0.1,
        "refresh_interval": 30.0,
        "settle": 0.0,
        "version": None,
        "health": "application",
        **changes,
    }
    path, kwargs = ApplicationTrigger(**arguments).serialize()
    assert path == "lifecycle.triggers.application.ApplicationTrigger"
    assert kwargs == arguments

    async def first() -> dict[str, Any]:
        async def later() -> None:
            await asyncio.sleep(0.5)
            if meanwhile is not None:
                await asyncio.to_thread(meanwhile)

        acting = asyncio.create_task(later())
        try:
            async for event in ApplicationTrigger(**kwargs).run():
                payload: dict[str, Any] = event.payload
                return payload
        finally:
            await acting
        raise AssertionError("no event")

    return asyncio.run(first())


@pytest.fixture(autouse=True)
def no_application(kube: Kube) -> Iterator[None]:
    yield
    names = [item["metadata"]["name"] for item in kube.request("GET", PATH)["items"]]
    if NAME in names:
        kube.request("DELETE", f"{PATH}/{NAME}")


def test_ready_application_fires_at_once_and_was_asked_to_look(kube: Kube) -> None:
    apply(kube, WANTED)
    event = fire(20)
    assert (event["state"], event["revision"], event["accepted"]) == ("ready", WANTED, [WANTED])
    annotations = kube.request("GET", f"{PATH}/{NAME}")["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/refresh"] == "normal"


def test_application_that_becomes_ready_is_waited_for(kube: Kube) -> None:
    apply(kube, FORMER)
    event = fire(20, lambda: apply(kube, WANTED), older=[FORMER])
    assert (event["state"], event["revision"]) == ("ready", WANTED)


def test_application_that_is_made_later_is_waited_for(kube: Kube) -> None:
    assert fire(20, lambda: apply(kube, WANTED))["state"] == "ready"


def test_application_that_is_never_made_is_named_at_the_deadline(kube: Kube) -> None:
    event = fire(1)
    assert event["state"] == "timeout"
    assert f"annotate the Application argocd/{NAME}, because there is none" in event["message"]


def test_revision_of_others_is_handed_to_the_task(kube: Kube) -> None:
    apply(kube, FORMER)
    event = fire(20)
    assert (event["state"], event["revision"], event["older"]) == ("other", FORMER, [])


def test_degraded_application_fires_with_its_words(kube: Kube) -> None:
    apply(kube, WANTED, health={"status": "Degraded", "message": "no progress"})
    event = fire(20)
    assert (event["state"], event["message"]) == ("failed", "no progress")


def test_a_server_that_ends_again_and_again_is_not_waited_for_until_the_deadline(kube: Kube) -> None:
    apply(kube, WANTED, health={"status": "Progressing"})
    place = {"namespace": "lifecycle", "name": "detector-crashes"}
    labels = {"app.kubernetes.io/instance": "detector", "yolo-lifecycle/model-version": "7"}
    script = "import sys; open('/dev/termination-log', 'w').write('no artifact of version 7'); sys.exit(3)"
    container = {"name": "triton", "image": "ghcr.io/your-org/yolo-trainer:1", "command": ["python", "-c", script]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**place, "labels": labels}}
    kube.request("POST", "api/v1/namespaces/lifecycle/pods", {**pod, "spec": {"containers": [container]}})
    try:
        event = fire(120, version=7)
        assert event["state"] == "crashing"
        assert "detector-crashes (3 restarts)" in event["message"]
        assert "ended with exit code 3: no artifact of version 7" in event["troubles"]
        assert fire(1, version=8)["state"] == "timeout", "another version's pods say nothing of this one"
    finally:
        kube.request("DELETE", f"api/v1/namespaces/lifecycle/pods/{place['name']}")


def test_deadline_adds_what_the_serving_pods_say(kube: Kube) -> None:
    name = "no-such-image"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "lifecycle",
            "labels": {"app.kubernetes.io/instance": "detector", "app.kubernetes.io/component": "digits"},
        },
        "spec": {"containers": [{"name": "triton", "image": "ghcr.io/your-org/absent:1"}]},
    }
    kube.request("POST", "api/v1/namespaces/lifecycle/pods", pod)
    try:
        apply(kube, WANTED, health={"status": "Progressing"})
        event = fire(2)
    finally:
        kube.request("DELETE", f"api/v1/namespaces/lifecycle/pods/{name}?gracePeriodSeconds=0")
    assert event["state"] == "timeout"
    assert f"pod {name}" in event["troubles"], event


def test_api_that_is_away_until_the_deadline_is_worth_a_retry(
    kube: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    text = kube.kubeconfig.read_text().replace(kube.server, f"http://127.0.0.1:{free_port()}")
    (tmp_path / "kubeconfig").write_text(text)
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(tmp_path / "kubeconfig")}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    event = fire(1)
    assert (event["state"], event["retryable"]) == ("error", True)
    assert "did not answer" in event["message"]


def test_bad_answers_do_not_end_the_waiting(kube: Kube) -> None:
    """Refused, throttled, broken and slow at random: the verdict comes all the same."""
    apply(kube, FORMER)
    shares = {"403": 0.1, "429": 0.15, "500": 0.15, "slow": 0.1, "slowSeconds": 0.1, "seed": 7}
    kube.request("PUT", "faults", shares)
    try:
        event = fire(60, lambda: apply(kube, WANTED), older=[FORMER], version=7, poll=0.02)
    finally:
        kube.request("PUT", "faults", {})
    assert (event["state"], event["revision"]) == ("ready", WANTED)


def test_what_the_account_may_not_do_is_a_sentence(kube: Kube) -> None:
    event = fire(60, namespace="lifecycle")
    assert (event["state"], event["retryable"]) == ("error", False)
    assert 'cannot patch resource \\"applications\\" in API group' in event["message"]
    assert "Check that the service account of the connection may do this" in event["message"]


def test_event_waits_for_airflow_to_see_the_deferral(kube: Kube) -> None:
    apply(kube, WANTED)
    start = time.monotonic()
    fire(20, settle=1.5)
    assert time.monotonic() - start >= 1.5


def test_the_revision_before_is_not_reported_while_airflow_is_waited_for(kube: Kube) -> None:
    apply(kube, FORMER)
    event = fire(20, lambda: apply(kube, WANTED), settle=5.0)
    assert (event["state"], event["revision"]) == ("ready", WANTED)
    apply(kube, FORMER)
    event = fire(20, settle=1.0)
    assert (event["state"], event["revision"]) == ("other", FORMER)
