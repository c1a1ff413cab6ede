"""Rollouts under KServe: what Deployment and pods tell decides, whatever the InferenceService says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy import kserve
from lifecycle.policy.application import State
from lifecycle.policy.kserve import Wanted

OLD, NEW = "3-aaaaaaaa-1", "4-bbbbbbbb-1"
# What KServe still says while its new version ends again and again.
READY = {"conditions": [{"type": "Ready", "status": "True"}], "modelStatus": {"transitionStatus": "UpToDate"}}


def service(**pins: str) -> dict[str, Any]:
    labels = {f"pin.yolo-lifecycle/{model}": pin for model, pin in pins.items()}
    return {"metadata": {"name": "detector-kserve"}, "spec": {"predictor": {"labels": labels}}, "status": READY}


def deployment(pin: str, *, updated: int = 1, available: int = 1, pods: int = 1, **status: Any) -> dict[str, Any]:
    labels = {"pin.yolo-lifecycle/digits": pin, "serving.kserve.io/inferenceservice": "detector-kserve"}
    return {
        "metadata": {"name": "detector-kserve-predictor", "generation": 2},
        "spec": {"replicas": 1, "template": {"metadata": {"labels": labels}}},
        "status": {
            "observedGeneration": 2,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "replicas": pods,
            **status,
        },
    }


def pod(name: str, pin: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"pin.yolo-lifecycle/digits": pin}}}


def judge(found: Wanted | None, version: int | None, *deployments: dict[str, Any], **more: Any) -> tuple[State, str]:
    verdict = kserve.judge_predictor("digits", found, version, list(deployments), more.get("pods", []), "abc")
    return verdict.state, verdict.message


def test_an_application_of_kserve_is_known_by_its_objects() -> None:
    resources = [{"group": "", "kind": "Service"}, {"group": "serving.kserve.io", "kind": "InferenceService"}]
    assert kserve.served_by_kserve({"status": {"resources": resources}})
    assert not kserve.served_by_kserve({"status": {"resources": resources[:1]}})
    assert not kserve.served_by_kserve({})


def test_the_synced_object_says_which_pods_have_to_come() -> None:
    trained = [{"metadata": {"name": "plates"}, "spec": {"inferenceService": "detector-kserve"}}]
    services = [service(signs=OLD), service(digits=NEW, signs=OLD)]
    assert kserve.wanted("digits", services, trained) == ("detector-kserve", NEW)
    assert kserve.wanted("plates", services, trained) == ("detector-kserve", None)
    assert kserve.wanted("absent", services, trained) is None


@pytest.mark.parametrize(
    ("found", "deployments", "pods", "state", "words"),
    [
        (None, [], [], State.WAITING, "no InferenceService of the app names digits yet"),
        (Wanted("s", OLD), [deployment(OLD)], [], State.WAITING, f"names {OLD} of digits"),
        # KServe's controller has not seen the new spec: its Deployment is healthy, with the old pods.
        (Wanted("s", NEW), [deployment(OLD)], [pod("a", OLD)], State.WAITING, "has no Deployment yet"),
        # The new pod does not come up, the old one serves, and the InferenceService is Ready=True.
        (Wanted("s", NEW), [deployment(NEW, available=1, pods=2)], [], State.WAITING, "1 of 1 pods available"),
        (Wanted("s", NEW), [deployment(NEW)], [pod("a", OLD), pod("b", NEW)], State.WAITING, "a of before is still"),
        (Wanted("s", NEW), [deployment(NEW)], [pod("b", NEW)], State.READY, "healthy"),
    ],
)
def test_only_new_pods_and_no_others_are_a_rollout(
    found: Wanted | None, deployments: list[Any], pods: list[Any], state: State, words: str
) -> None:
    got, message = judge(found, 4, *deployments, pods=pods)
    assert got is state and words in message, message


def test_the_deadline_of_kserves_deployment_is_a_failure() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    state, message = judge(Wanted("s", NEW), 4, deployment(NEW, available=0, pods=2, conditions=[late]))
    assert state is State.FAILED and "progress deadline" in message


def test_version_4_is_not_version_41_and_a_republished_one_is() -> None:
    assert kserve.is_of("4-bbbbbbbb-12", 4) and not kserve.is_of("41-bbbbbbbb-1", 4)
    assert kserve.is_of("folder-0123", "folder-0123") and not kserve.is_of("folder-0123", "folder-012")


def test_a_trained_model_waits_for_its_server_and_is_then_asked() -> None:
    """What it serves its own conditions do not tell: that is asked of each replica."""
    assert judge(Wanted("detector-kserve", None), 4)[0] is State.WAITING
    state, message = judge(Wanted("detector-kserve", None), 4, deployment(OLD))
    assert state is State.READY and "its servers tell" in message


def test_nothing_is_served_once_no_object_names_it() -> None:
    assert judge(None, None)[0] is State.READY
    assert judge(Wanted("s", OLD), None)[0] is State.WAITING
