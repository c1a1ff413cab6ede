"""Whether a live object is what Git wants: every field that Git sets is there; what others added is theirs."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.argocd.cluster.kube import Manifest
from sandbox.kube.objects.quantities import amount

TRACKING = "argocd.argoproj.io/tracking-id"
# Fields that hold quantities, or maps of them.
AMOUNTS = ("limits", "requests", "sizeLimit")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def differs(desired: Manifest, live: Manifest) -> bool:
    """True when the live object lacks something of the desired one."""
    return not _within(normalize(desired), normalize(live))


def normalize(manifest: Manifest) -> Manifest:
    """The part that Git speaks about: no status, of the metadata only labels and annotations, Secrets as data."""
    result = {key: value for key, value in manifest.items() if key not in ("status", "metadata", "stringData")}
    meta = manifest.get("metadata") or {}
    result["metadata"] = {key: meta[key] for key in ("labels", "annotations") if meta.get(key)}
    if manifest.get("stringData"):
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in manifest["stringData"].items()}
        result["data"] = {**(manifest.get("data") or {}), **encoded}
    return result


def _within(desired: Any, live: Any, field: str = "") -> bool:
    if desired is None or desired in ([], ""):
        return live is None or live in ([], "")
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return live is None and not desired  # the server may leave an empty mapping out
        return all(_within(value, live.get(key), field if field in AMOUNTS else key) for key, value in desired.items())
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(desired) == len(live)
            and all(_within(wanted, found) for wanted, found in zip(desired, live, strict=True))
        )
    return bool(desired == live) or (field in AMOUNTS and _same_amount(desired, live))


def _same_amount(desired: Any, live: Any) -> bool:
    """Whether two quantities are the same: the API server writes each in one way."""
    try:
        return amount(str(desired)) == amount(str(live))
    except ValueError:
        return False


def merge_patch(before: Any, after: Any) -> Any:
    """The JSON merge patch (RFC 7386) that turns one mapping into the other."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            patch[key] = value
        elif before[key] != value:
            both = isinstance(before[key], dict) and isinstance(value, dict)
            patch[key] = merge_patch(before[key], value) if both else value
    return patch
