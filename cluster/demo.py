"""Trigger `yolo_lifecycle` on the cluster, as `make demo` does in the sandbox, and report what came of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from cluster.airflow import Airflow
from cluster.errors import ClusterError, SettingsError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from cluster.up import Say

DAG = "yolo_lifecycle"
LAST = "set_champion"


def parameters(settings: Settings, variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The run's parameters: the first environment that this cluster serves, and over it JSON in DEMO_PARAMS.

    Raises:
        SettingsError: DEMO_PARAMS is not a JSON object.
    """
    text = variables.get("DEMO_PARAMS") or "{}"
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"DEMO_PARAMS is not JSON ({error}): {text}") from error
    if not isinstance(given, dict):
        raise SettingsError(f'DEMO_PARAMS must be a JSON object such as {{"epochs": 4}}, not {text}.')
    return {"environment": settings.served[0], **given}


def demo(settings: Settings, kubectl: Kubectl, say: Say) -> None:
    """Run the DAG once and follow it to its end.

    Raises:
        ClusterError: Airflow cannot be reached, or the new version is not live; the failing task's log is in it.
    """
    login = kubectl.secret("platform", "airflow-admin")
    if login is None:
        raise ClusterError("There is no Secret airflow-admin in namespace platform. Run `make cluster-up` first.")
    params = parameters(settings)
    with kubectl.forward("platform", "airflow-api-server", 8080) as url:
        airflow = Airflow(url, DAG, login["username"], login["password"])
        run = airflow.trigger(params)
        say(f"{DAG} {run}, parameters {json.dumps(params)}")
        tasks = follow(airflow, run, say)
        if not any(task["task_id"] == LAST and task["state"] == "success" for task in tasks):
            raise ClusterError(explain(airflow, run, tasks))
        for line in report(airflow, run):
            say(line)


def follow(airflow: Airflow, run: str, say: Say, interval: float = 2.0) -> list[dict[str, Any]]:
    """Say each change of a task's state until the run has ended; its tasks."""
    states: dict[str, str] = {}
    start = time.monotonic()
    while True:
        ended = airflow.state(run) in ("success", "failed")
        tasks = airflow.tasks(run)
        for task in tasks:
            name, state = task["task_id"], task["state"] or "waiting"
            if state not in ("waiting", "scheduled", "queued") and states.get(name) != state:
                states[name] = state
                minutes, seconds = divmod(int(time.monotonic() - start), 60)
                took = f"{task['duration']:8.1f} s" if task.get("duration") and state in ("success", "failed") else ""
                say(f"{minutes:3d}:{seconds:02d}  {name:<18} {state:<16}{took}".rstrip())
        if ended:
            return tasks
        time.sleep(interval)


def explain(airflow: Airflow, run: str, tasks: list[dict[str, Any]]) -> str:
    """Which tasks failed or skipped and the end of their logs."""
    parts = []
    for task in tasks:
        if task["state"] == "failed" or (task["state"] == "skipped" and task["start_date"]):
            lines = [line for line in airflow.log(run, task) if line.strip()][-20:]
            parts.append("\n    ".join([f"{task['task_id']} {task['state']}. The end of its log:", *lines]))
    return "\n".join([*parts, "The new version is not live; what was live before still is."])


def report(airflow: Airflow, run: str) -> list[str]:
    """What came out: the commit, and what the server says it serves."""
    promoted, served = airflow.xcom(run, "promote"), airflow.xcom(run, "verify_serving")
    return [
        f"commit       {promoted['commit']}",
        *(f"             {line}" for line in str(promoted.get("diff") or "").splitlines()),
        f"served       version {served['version']}, sha256 {served['sha256']}, MLflow run {served['run_id']}",
        f"checked      {served['matched']} of {served['images']} test images answered as the trained model does",
        f"address      {served['url']} (HTTP), {served['grpc_url']} (gRPC), inside the cluster",
    ]
