"""Whether a live object is what Git wants: every field that Git sets is there; what others added is theirs."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.argocd.cluster.kube import Manifest

TRACKING = "argocd.argoproj.io/tracking-id"
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


def _within(desired: Any, live: Any) -> bool:
    if desired is None or desired == []:
        return live is None or live == []
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return live is None and not desired  # the server may leave an empty mapping out
        return all(_within(value, live.get(key)) for key, value in desired.items())
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(desired) == len(live)
            and all(_within(wanted, found) for wanted, found in zip(desired, live, strict=True))
        )
    return bool(desired == live)


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
