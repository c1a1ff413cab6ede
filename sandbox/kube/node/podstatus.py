"""A pod's ``status``, computed from the states of its containers as kubelet computes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.kube import clock
from sandbox.kube.objects.store import Object


@dataclass
class ContainerState:
    """What is known of one container over all its runs. ``state`` and ``last`` are in the API's form."""

    name: str
    image: str
    init: bool
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    identity: str = ""

    def status(self) -> Object:
        """The entry in containerStatuses."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"sandbox://{self.image}" if self.identity else "",
            **({"containerID": self.identity} if self.identity else {}),
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }

    @property
    def exit_code(self) -> int | None:
        """Of a terminated container, else None."""
        terminated = self.state.get("terminated")
        return terminated["exitCode"] if terminated else None


def phase(inits: list[ContainerState], mains: list[ContainerState], policy: str) -> str:
    """The pod's phase."""
    for init in inits:
        if init.exit_code == 0:
            continue
        if init.exit_code is not None and policy == "Never":
            return "Failed"
        return "Pending"
    waiting = [c for c in mains if "waiting" in c.state and not c.last]
    running = [c for c in mains if "running" in c.state]
    if waiting:
        return "Pending"
    if running or policy == "Always":
        return "Running"
    if all(c.exit_code == 0 for c in mains):
        return "Succeeded"
    # With OnFailure a failed container is about to be started again.
    return "Failed" if policy == "Never" else "Running"


def conditions(
    former: list[Object], inits: list[ContainerState], mains: list[ContainerState], phase_: str
) -> list[Object]:
    """The pod's conditions; a condition whose status is the same keeps its transition time."""
    initialized = all(c.exit_code == 0 for c in inits)
    unready = [c.name for c in mains if not c.ready]
    why = {}
    if phase_ == "Succeeded":
        why = {"reason": "PodCompleted"}
    elif phase_ == "Failed":
        why = {"reason": "PodFailed"}
    elif unready:
        why = {
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{' '.join(unready)}]",
        }
    not_initialized = {
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{' '.join(c.name for c in inits if c.exit_code != 0)}]",
    }
    values: list[tuple[str, bool, Object]] = [
        ("PodScheduled", True, {}),
        ("Initialized", initialized, {} if initialized else not_initialized),
        ("ContainersReady", not unready, why),
        ("Ready", not unready, why),
    ]
    return [condition(former, name, value, extra) for name, value, extra in values]


def condition(former: list[Object], name: str, value: bool, extra: Object) -> Object:
    """One condition, with the transition time of the former one when its status is the same."""
    status = "True" if value else "False"
    old = next((c for c in former if c["type"] == name and c["status"] == status), None)
    since = old["lastTransitionTime"] if old else clock.now()
    return {"type": name, "status": status, "lastProbeTime": None, "lastTransitionTime": since, **extra}
