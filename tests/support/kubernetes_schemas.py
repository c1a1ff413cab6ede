"""Objects against Kubernetes' own schemas of a version, as kubernetes-validate has them."""

from __future__ import annotations

from functools import cache
from typing import Any

from kubernetes_validate import utils

# It reads a version's definitions, more than a megabyte, for each object again.
utils.schema_contents = cache(utils.schema_contents)


def validate(manifest: dict[str, Any], version: str) -> None:
    """Raises kubernetes_validate.ValidationError where an object is not what that version takes, to the last field."""
    utils.validate(manifest, version, strict=True)


def builtin(manifest: dict[str, Any]) -> bool:
    """Whether the kind is one of Kubernetes' own, not an operator's."""
    group = manifest["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")
