"""How a rollout under KServe stands, by Deployment and pods: none of KServe's own conditions is believed.

An InferenceService says Ready=True, UpToDate and Loaded while its new version ends again and again and the old pod
serves on; a TrainedModel is Ready as soon as a ConfigMap names it. What is asked of the API server here is who the pods
are for and whether they are there; which version they serve, `verify_serving` then asks each of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lifecycle.model.names import KSERVE_GROUP, KSERVE_LABEL, PIN_LABEL
from lifecycle.policy.application import State, Verdict
from lifecycle.policy.deployment import judge_deployment

# KServe's pods are restarted by the kubelet after 10, 20, 40 s: the second restart is known within a minute.
RESTART_LIMIT = 2


class Wanted(NamedTuple):
    """What serves a model: the InferenceService's name, and the pin that its pods have to carry; None: they carry none,
    since the model is loaded into a pod that is there (a TrainedModel).
    """

    service: str
    pin: str | None


def served_by_kserve(application: dict[str, Any]) -> bool:
    """Whether the Application's objects are KServe's."""
    resources = (application.get("status") or {}).get("resources") or []
    return any(each.get("group") == KSERVE_GROUP for each in resources)


def wanted(model: str, services: list[dict[str, Any]], trained: list[dict[str, Any]]) -> Wanted | None:
    """Which InferenceService has to serve the model, as Argo CD has synced it; None: no object names the model.

    Args:
        model: Triton's name.
        services: the app's InferenceServices, as the API gives them.
        trained: its TrainedModels.
    """
    key = f"{PIN_LABEL}{model}"
    for service in services:
        pin = ((service["spec"].get("predictor") or {}).get("labels") or {}).get(key)
        if pin is not None:
            return Wanted(service["metadata"]["name"], str(pin))
    for each in trained:
        if each["metadata"]["name"] == model:
            return Wanted(each["spec"]["inferenceService"], None)
    return None


def is_of(pin: str | None, version: int | str | None) -> bool:
    """Whether a pin is of that version (`<version>-<sha256, 8 digits>-<n>`), or of that folder's label."""
    return pin is None or version is None or pin == str(version) or pin.startswith(f"{version}-")


def judge_predictor(
    model: str,
    found: Wanted | None,
    version: int | str | None,
    deployments: list[dict[str, Any]],
    pods: list[dict[str, Any]],
    revision: str,
) -> Verdict:
    """Judge the rollout of one model.

    Args:
        model: Triton's name.
        found: what `wanted` says.
        version: the version, or the label of a folder, that is rolled out; None: nothing is served any more.
        deployments: the Deployments of that InferenceService.
        pods: its pods.
        revision: the revision that Argo CD has synced.
    """
    if version is None:
        if found is None:
            return Verdict(State.READY, "synced, and no InferenceService serves the model", revision)
        return Verdict(State.WAITING, f"synced, and the InferenceService {found.service} still serves it", revision)
    if found is None:
        return Verdict(State.WAITING, f"synced, and no InferenceService of the app names {model} yet", revision)
    if not is_of(found.pin, version):
        return Verdict(
            State.WAITING, f"synced, and the InferenceService {found.service} names {found.pin} of {model}", revision
        )
    if found.pin is None:
        return _in_place(found.service, deployments, revision)
    verdict = judge_deployment(deployments, found.pin, revision, f"{PIN_LABEL}{model}")
    if verdict.state is not State.READY:
        return verdict
    others = [each["metadata"]["name"] for each in pods if _label(each, f"{PIN_LABEL}{model}") != found.pin]
    if others:
        return Verdict(State.WAITING, f"synced, and {', '.join(others)} of before is still there", revision)
    return verdict


def _in_place(service: str, deployments: list[dict[str, Any]], revision: str) -> Verdict:
    """Of a TrainedModel, Kubernetes knows only whether there is a pod to load it."""
    verdicts = [
        judge_deployment([each], _label(each["spec"]["template"], KSERVE_LABEL), revision, KSERVE_LABEL)
        for each in deployments
    ]
    waiting = next((each for each in verdicts if each.state is not State.READY), None)
    if not verdicts:
        return Verdict(State.WAITING, f"synced, and the InferenceService {service} has no Deployment yet", revision)
    return waiting or Verdict(State.READY, "synced; whether the model is loaded, its servers tell", revision)


def _label(thing: dict[str, Any], key: str) -> str | None:
    labels: dict[str, str] = thing["metadata"].get("labels") or {}
    return labels.get(key)
