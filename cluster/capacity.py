"""Whether the nodes have room for all that is asked: the platform, the model servers, a rollout and a training.

Kubernetes places a pod by its requests alone, so that is what is added up. One rollout is counted (the most that any
model asks for besides its own pods) and one training: more of them wait for each other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.kubectl import Object
from cluster.settings import Settings

# Resource name to amount: cores, bytes, pieces.
Amounts = Mapping[str, float]

MIB, GIB = 2.0**20, 2.0**30
UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
UNITS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
# What charts/platform asks for by cluster.size, with the largest of its Jobs, without the databases; a test adds it up.
PLATFORM: Mapping[str, Amounts] = {
    "standard": {"cpu": 2.63, "memory": 7.4 * GIB},
    "small": {"cpu": 1.08, "memory": 5.1 * GIB},
}
# What the databases ask for besides, by platform.postgresql and cluster.size, with the Job that dumps them and the
# operator; and what their backups ask: the plugin, and its sidecar of each server.
DATABASES: Mapping[tuple[str, str], Amounts] = {
    ("cloudnativepg", "standard"): {"cpu": 0.6, "memory": 1216 * MIB},
    ("statefulset", "standard"): {"cpu": 0.3, "memory": 576 * MIB},
    ("statefulset", "small"): {"cpu": 0.15, "memory": 320 * MIB},
}
BACKUPS: Amounts = {"cpu": 0.125, "memory": 320 * MIB}
PLATFORM_NAMESPACES = {"argocd", "platform", "monitoring", "lifecycle", "cnpg-system"}
# LIFECYCLE_TRAINER_CPU and LIFECYCLE_TRAINER_MEMORY as they are by default.
TRAINING: Amounts = {"cpu": 1.0, "memory": 2 * GIB}
GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Servers:
    """One model's pods: whose they are, what each asks, how many there are, and how many more a rollout needs."""

    name: str
    each: Amounts
    replicas: int
    surge: int


def quantity(text: str | int) -> float:
    """A quantity as Kubernetes writes it, such as `250m` or `16Gi`."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    if found is None or found[2] not in UNITS:
        raise ClusterError(f"{text!r} is no quantity of Kubernetes.")
    return float(found[1]) * UNITS[found[2]]


def requests(pod: Object) -> Counter[str]:
    """What a pod's spec asks of a node: its containers together, or an init container that asks for more."""
    found: Counter[str] = Counter()
    for container in pod.get("containers") or []:
        found.update(_of(container))
    for container in pod.get("initContainers") or []:
        found |= _of(container)
    return found


def _of(container: Object) -> Counter[str]:
    resources = container.get("resources") or {}
    # Kubernetes takes an extended resource's request from its limit.
    limits = {name: value for name, value in (resources.get("limits") or {}).items() if "/" in name}
    asked = {**limits, **(resources.get("requests") or {})}
    return Counter({name: quantity(value) for name, value in asked.items()})


def problems(
    settings: Settings, nodes: list[Object], pods: list[Object], servers: list[Servers]
) -> tuple[list[str], list[str]]:
    """Sentences: pods that fit no node, and whether all together does not fit."""
    gives = [
        {name: quantity(value) for name, value in (node["status"].get("allocatable") or {}).items()}
        for node in nodes
        if not (node.get("spec") or {}).get("unschedulable")
    ]
    training = {**TRAINING, **({GPU: float(gpus)} if (gpus := int(settings.values["training.gpus"])) else {})}
    largest = max(gives, key=lambda node: [node.get(key, 0.0) for key in (GPU, "cpu", "memory")])
    single = [("A training", training), *((f"A pod of {each.name}", each.each) for each in servers)]
    too_large = [
        f"{name} asks {words(asked)}, and the largest node gives {words(largest, asked)}. Ask for less, or add such a "
        "node."
        for name, asked in single
        if not any(_fits(asked, node) for node in gives)
    ]
    asked, total = _asked(settings, pods, servers, training), _sum(gives)
    too_much = []
    if not _fits(asked, total):
        advice = "" if settings.text("cluster.size") == "small" else f"{_smaller(settings)}, "
        too_much.append(
            f"Not all of it has room at once: the platform, {sum(each.replicas for each in servers)} model server(s), "
            f"a rollout and a training ask {words(asked)}, and the nodes give {words(total, asked)}. What does not fit "
            f"waits: {advice}serve fewer environments, set `strategy` in an environment.yaml so that a rollout needs "
            "no pod more, ask for less, or add a node (a cluster that adds nodes by itself does so)."
        )
    return too_large, too_much


def _smaller(settings: Settings) -> str:
    also = ' with platform.postgresql "statefulset"' if settings.text("platform.postgresql") == "cloudnativepg" else ""
    return f'set cluster.size to "small"{also}'


def _asked(settings: Settings, pods: list[Object], servers: list[Servers], training: Amounts) -> Counter[str]:
    ours = PLATFORM_NAMESPACES | set(settings.served)
    others = [
        requests(pod["spec"])
        for pod in pods
        if pod["metadata"]["namespace"] not in ours and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    found = _sum([*others, platform(settings), training])
    rollout: Counter[str] = Counter()
    for each in servers:
        found.update({name: amount * each.replicas for name, amount in each.each.items()})
        rollout |= Counter({name: amount * each.surge for name, amount in each.each.items()})
    found.update(rollout)
    return found


def platform(settings: Settings) -> Counter[str]:
    """What the platform asks for with these settings: its charts, and the databases where they are not external."""
    size = settings.text("cluster.size")
    databases = DATABASES.get((settings.text("platform.postgresql"), size), {})
    return _sum([PLATFORM[size], databases, BACKUPS if settings.on("backup.enabled") else {}])


def _sum(all_of: Iterable[Amounts]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in all_of:
        found.update(each)
    return found


def _fits(asked: Amounts, given: Amounts) -> bool:
    return all(amount <= given.get(name, 0.0) + 1e-9 for name, amount in asked.items() if name != "ephemeral-storage")


def words(amounts: Amounts, like: Amounts | None = None) -> str:
    """Amounts for a person: `2.25 CPU, 8 GiB of memory, 1 nvidia.com/gpu`; of what `like` names, where it is given."""
    keys = [name for name in ("cpu", "memory", *sorted(set(amounts) | set(like or {}))) if name in (like or amounts)]
    texts = []
    for name in dict.fromkeys(keys):
        amount = amounts.get(name, 0.0)
        if name == "cpu":
            texts.append(f"{round(amount, 2):g} CPU")
        elif name == "memory":
            texts.append(f"{round(amount / GIB, 1):g} GiB of memory")
        elif "/" in name:
            texts.append(f"{amount:g} {name}")
    return ", ".join(texts)
