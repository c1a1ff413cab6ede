"""Trigger the demo's DAG on the cluster, as `make demo` does in the sandbox, and report what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from cluster.errors import ClusterError, SettingsError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from cluster.up import Say
from tools import dagrun
from tools.dagrun import DAG
from tools.rest import Airflow, RestError


def parameters(settings: Settings, variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The run's parameters: the first environment that this cluster serves, and over it JSON in DEMO_PARAMS.

    Raises:
        SettingsError: DEMO_PARAMS is not a JSON object.
    """
    try:
        return {"environment": settings.served[0], **dagrun.parameters(variables)}
    except ValueError as error:
        raise SettingsError(str(error)) from error


def demo(settings: Settings, kubectl: Kubectl, say: Say) -> dagrun.Ending:
    """Run the DAG once and follow it to its end.

    Raises:
        ClusterError: Airflow cannot be reached or refuses the run.
    """
    login = kubectl.secret("platform", "airflow-admin")
    if login is None:
        raise ClusterError("There is no Secret airflow-admin in namespace platform. Run `make cluster-up` first.")
    params = parameters(settings)
    with kubectl.forward("platform", "airflow-api-server", 8080) as url:
        try:
            return _run(url, (login["username"], login["password"]), params, say)
        except RestError as error:
            raise ClusterError(f"{error} Look at Airflow's pods: `kubectl -n platform get pods`.") from error


def _run(url: str, login: tuple[str, str], params: dict[str, Any], say: Say) -> dagrun.Ending:
    airflow = Airflow(url, DAG, login)
    run = airflow.trigger(params)
    say(f"{DAG} {run}, parameters {json.dumps(params)}")
    tasks = dagrun.follow(airflow, run, dagrun.Progress(say))
    ended = dagrun.ending(airflow, run, tasks)
    if ended.code == dagrun.LIVE:
        for line in report(airflow, run):
            say(line)
    return ended


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
