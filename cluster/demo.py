"""Trigger the demo's DAG on the cluster, as `make demo` does in the sandbox, and report what came of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from cluster import airflow
from cluster.errors import ClusterError, SettingsError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from cluster.wait import Say
from tools import dagrun
from tools.dagrun import DAG
from tools.rest import Airflow, RestError

# A port-forward breaks when its pod or the API server restarts: how often it is made again, and the seconds between.
TRIES, PAUSE = 40, 3.0


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
    """Run the DAG once and follow it to its end, over as many connections as that takes.

    Raises:
        ClusterError: Airflow cannot be reached or refuses the run.
    """
    login, params = airflow.login(kubectl), parameters(settings)
    progress, run, lost = dagrun.Progress(say), "", 0
    while True:
        try:
            with kubectl.forward(*airflow.SERVICE) as url:
                client = Airflow(url, DAG, login)
                if not run:
                    run = client.trigger(params)
                    say(f"{DAG} {run}, parameters {json.dumps(params)}")
                return _follow(client, run, progress, say)
        except (RestError, ClusterError) as error:
            # An answer that is an error, and the first connection's failure, are for a person.
            if not run or getattr(error, "status", None) is not None:
                raise ClusterError(f"{error} Look at Airflow's pods: `kubectl -n platform get pods`.") from error
            # Counted again once Airflow has told something.
            lost = 1 if progress.news() else lost + 1
            if lost > TRIES:
                raise ClusterError(
                    f"{error} The run {run} of {DAG} continues in the cluster; Airflow's page shows it. Look at "
                    "Airflow's pods: `kubectl -n platform get pods`."
                ) from error
            say(f"the connection to Airflow broke; the run {run} continues, connecting again")
            time.sleep(PAUSE)


def _follow(client: Airflow, run: str, progress: dagrun.Progress, say: Say) -> dagrun.Ending:
    tasks = dagrun.follow(client, run, progress)
    ended = dagrun.ending(client, run, tasks)
    if ended.code == dagrun.LIVE:
        for line in report(client, run):
            say(line)
    return ended


def report(client: Airflow, run: str) -> list[str]:
    """What came out: the commit, and what the server says it serves."""
    promoted, served = client.xcom(run, "promote"), client.xcom(run, "verify_serving")
    return [
        f"commit       {promoted['commit']}",
        *(f"             {line}" for line in str(promoted.get("diff") or "").splitlines()),
        f"served       version {served['version']}, sha256 {served['sha256']}, MLflow run {served['run_id']}",
        f"checked      {served['matched']} of {served['images']} test images answered as the trained model does",
        f"address      {served['url']} (HTTP), {served['grpc_url']} (gRPC), inside the cluster",
    ]
