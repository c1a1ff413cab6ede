"""What a Deployment's status says of a rollout, as Argo CD judges it: for a candidate, whose Application may be ill."""

from __future__ import annotations

from typing import Any

from lifecycle.model.names import VERSION_LABEL
from lifecycle.policy.application import State, Verdict


def judge_deployment(
    found: list[dict[str, Any]], version: int | str | None, revision: str, label: str = VERSION_LABEL
) -> Verdict:
    """Judge the one Deployment of a version.

    Source: `getAppsv1DeploymentHealth` of argoproj/gitops-engine, whose rules these are.

    Args:
        found: the Deployments with its labels, as the API gives them (camelCase).
        version: the version whose pods it has to run.
        revision: the revision that Argo CD has synced.
        label: of the pods, which names the version.
    """
    wanted = [each for each in found if _version(each, label) == str(version)]
    if not wanted:
        return Verdict(State.WAITING, f"synced, and version {version} has no Deployment yet", revision)
    name, status = wanted[0]["metadata"]["name"], wanted[0].get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    progressing = conditions.get("Progressing") or {}
    if int(wanted[0]["metadata"].get("generation") or 0) > int(status.get("observedGeneration") or 0):
        return Verdict(State.WAITING, f"synced, and the Deployment {name} was not looked at yet", revision)
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(State.FAILED, f'Deployment "{name}" exceeded its progress deadline', revision)
    replicas = int(wanted[0]["spec"].get("replicas", 1))
    updated, available, all_pods = (
        int(status.get(key) or 0) for key in ("updatedReplicas", "availableReplicas", "replicas")
    )
    if updated < replicas or available < updated or all_pods > updated:
        # Without a pod, only this condition says why: a quota, or Pod Security.
        failure = " ".join(str((conditions.get("ReplicaFailure") or {}).get("message") or "").split())
        said = f"the Deployment {name} has {available} of {replicas} pods available{f': {failure}' if failure else ''}"
        return Verdict(State.WAITING, f"synced, and {said}", revision)
    return Verdict(State.READY, f"synced, and the Deployment {name} is healthy", revision)


def _version(deployment: dict[str, Any], label: str) -> str | None:
    """The version that its pods have as a label; an older run's candidate has the same name."""
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"].get("labels") or {}
    return labels.get(label)
