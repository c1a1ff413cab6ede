"""Whether the node has room for a pod, by its requests; without a limit, which is the default, it always has.

A pod that is ending counts until it has ended, as on a cluster.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sandbox.kube.errors import ApiError
from sandbox.kube.node.references import quantity
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Object, Store


class Scheduler:
    """The node's room; ``PUT <server>/allocatable`` with ``{"cpu": "4"}`` limits it, until one with ``{}``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._allocatable: dict[str, float] = {}

    def set(self, wanted: Any) -> None:
        """Replace the limits. Raises ApiError 400 for what is no quantity."""
        try:
            self._allocatable = {str(name): quantity(value) for name, value in wanted.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise ApiError(400, f"allocatable is an object of quantities: {error}") from error

    def lacks(self, pod: Object) -> list[str]:
        """The resources that a pod asks for and that are taken by others."""
        if not self._allocatable:
            return []
        taken: Counter[str] = Counter()
        for other in self._store.list(kinds.POD):
            ended = (other.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if other["spec"].get("nodeName") and not ended:
                taken.update(_requests(other["spec"]))
        asked = _requests(pod["spec"])
        return sorted(
            name for name, room in self._allocatable.items() if asked[name] and taken[name] + asked[name] > room
        )


def _requests(spec: Object) -> Counter[str]:
    """What a pod asks for: its containers together, or an init container that asks for more."""
    found: Counter[str] = Counter()
    for container in spec["containers"]:
        found.update(_of(container))
    for container in spec.get("initContainers") or []:
        found |= _of(container)
    return found


def _of(container: Object) -> Counter[str]:
    resources = container.get("resources") or {}
    # An extended resource's request is its limit.
    limits = {name: value for name, value in (resources.get("limits") or {}).items() if "/" in name}
    asked = {**limits, **(resources.get("requests") or {})}
    return Counter({name: quantity(value) for name, value in asked.items()})  # type: ignore[misc]
