"""What a request makes of an object: patches, the parts of metadata that only the server writes, Scale, options."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.kube.errors import ApiError, invalid
from sandbox.kube.http.request import body, number
from sandbox.kube.objects import patches
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object

APPLY = "application/apply-patch+yaml"
PATCHES = {
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
}


def patched(style: str, former: Object, change: Any) -> Any:
    """An object after a patch other than an apply. Raises ApiError 400 or 422."""
    if style == "application/json-patch+json":
        if not isinstance(change, list):
            raise ApiError(400, "a JSON patch is a list of operations")
        return patches.json_patch(former, change)
    if not isinstance(change, dict):
        raise ApiError(400, "a merge patch is an object")
    if style == "application/merge-patch+json":
        return patches.merge(former, change)
    return patches.strategic(former, change)


def with_version_of(obj: Object, former: Object) -> Object:
    """The former metadata, for the version that the body names."""
    version = obj["metadata"].get("resourceVersion") or former["metadata"]["resourceVersion"]
    return {**former["metadata"], "resourceVersion": version}


def server_metadata(kind: Kind, meta: Object, former: Object) -> Object:
    """Metadata with the parts that clients cannot change put back. Raises ApiError 409 or 422."""
    kept = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName")
    if meta.get("uid") not in (None, "", former["uid"]):
        raise ApiError(
            409, f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {former['uid']}"
        )
    if "deletionTimestamp" in former and set(meta.get("finalizers") or []) - set(former.get("finalizers") or []):
        text = "Forbidden: no new finalizers can be added if the object is being deleted"
        raise invalid(kind.kind, kind.group, former["name"], [("metadata.finalizers", text)])
    result = {key: value for key, value in meta.items() if key not in kept}
    return result | {key: former[key] for key in kept if key in former}


def scale_of(obj: Object) -> Object:
    """The scale subresource of a workload."""
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas} if (replicas := obj["spec"]["replicas"]) else {},
        "status": {
            "replicas": (obj.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }


async def delete_options(request: web.Request) -> dict[str, Any]:
    """DeleteOptions, from the body and from the query. Raises ApiError 400 or 422."""
    options = await body(request) or {}
    if not isinstance(options, dict):
        raise ApiError(400, "the body of a DELETE must be DeleteOptions")
    grace = number(request, "gracePeriodSeconds")
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    for name in ("propagationPolicy", "dryRun"):
        if request.query.get(name):
            options[name] = request.query[name]
    if (options.get("gracePeriodSeconds") or 0) < 0:
        raise ApiError(422, "gracePeriodSeconds: Invalid value: must be greater than or equal to 0")
    return options
