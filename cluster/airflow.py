"""What cluster-up asks of the running Airflow: the pools that pipeline files name."""

from __future__ import annotations

import re
from pathlib import Path

from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.settings import ROOT, Settings
from tools.dagrun import DAG
from tools.rest import Airflow, RestError

PIPELINES = ROOT / "dags" / "pipelines"
# `pool: a100` in a pipeline's `resources`; the standard library reads no YAML.
POOL = re.compile(r"^\s+pool:\s*[\"']?([\w.-]+)[\"']?\s*(?:#.*)?$", re.MULTILINE)
GPUS = re.compile(r"^\s+gpus:\s*(\d+)", re.MULTILINE)
SERVICE = ("platform", "airflow-api-server", 8080)


def named_pools(settings: Settings, folder: Path = PIPELINES) -> dict[str, int]:
    """Pool to the slots that one training takes at most, a slot a GPU."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text()
        gpus = [int(number) for number in GPUS.findall(text)] or [int(settings.values["training.gpus"])]
        for name in POOL.findall(text):
            found[name] = max(found.get(name, 1), *gpus)
    return found


def login(kubectl: Kubectl) -> tuple[str, str]:
    """Name and password of Airflow's first administrator.

    Raises:
        ClusterError: there is none.
    """
    found = kubectl.secret("platform", "airflow-admin")
    if found is None:
        raise ClusterError("There is no Secret airflow-admin in namespace platform. Run `make cluster-up` first.")
    return found["username"], found["password"]


def make_pools(kubectl: Kubectl, wanted: dict[str, int]) -> list[str]:
    """Make those pools that Airflow lacks, with a slot for each GPU of the cluster and enough for one training.

    Raises:
        ClusterError: Airflow cannot be reached.
        RestError: Airflow refuses.
    """
    if not wanted:
        return []
    nodes = kubectl.list("nodes")
    gpus = sum(int(((node.get("status") or {}).get("allocatable") or {}).get("nvidia.com/gpu", 0)) for node in nodes)
    with kubectl.forward(*SERVICE) as url:
        airflow = Airflow(url, DAG, login(kubectl))
        missing = sorted(set(wanted) - airflow.pools())
        for name in missing:
            airflow.make_pool(name, max(wanted[name], gpus))
    return missing


def pools(settings: Settings, kubectl: Kubectl) -> str:
    """Make the pools that pipeline files name; what came of it, in a line, or nothing."""
    wanted = named_pools(settings)
    try:
        made = make_pools(kubectl, wanted)
    except (ClusterError, RestError) as error:
        names = ", ".join(wanted)
        return f"note  Airflow's pools {names} could not be looked at: {error} Make them in Airflow: Admin, Pools."
    return f"made pools in Airflow: {', '.join(made)}" if made else ""
