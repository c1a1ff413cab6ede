"""What a DAG run leaves behind, place by place, and a search for a secret in it, however it is written."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sqlite3
import urllib.request
from typing import Any
from urllib.parse import quote, quote_plus

from tests.integration.airflow.dag_runs import Finished, Platform
from tests.support import airflow_environment
from tests.support.release_repository import git

DAG_ID = "digits"
PODS = "api/v1/namespaces/lifecycle/pods"


class PodWatch:
    """Every pod since this was made, as the cluster saw it: the run deletes its pods when they have ended."""

    def __init__(self, platform: Platform) -> None:
        self._kube = platform.servers.kube
        self._since = self._kube.request("GET", PODS)["metadata"]["resourceVersion"]

    @property
    def seen(self) -> dict[str, Any]:
        """Name → the pod as it was last: of the events that the API replays, so no pod is too short to be seen."""
        query = f"watch=true&resourceVersion={self._since}&timeoutSeconds=1"
        with urllib.request.urlopen(f"{self._kube.server}/{PODS}?{query}", timeout=30) as events:
            found = [json.loads(line)["object"] for line in events]
        return {pod["metadata"]["name"]: pod for pod in found}


def traces(platform: Platform, ended: Finished, pods: PodWatch) -> dict[str, str]:
    """Every place that people can look at after the run, and what is written there."""
    return {
        "rendered fields": json.dumps(rendered_fields(ended)),
        "XCom": json.dumps(xcoms(ended)),
        "conf": json.dumps(conf(ended)),
        "database": database(),
        "output": ended.text,  # with the tasks' logs, which such a run writes to no file
        "pods": json.dumps(pods.seen),
        "git": git("-C", str(platform.repository.bare), "log", "--all", "--patch", "--format=fuller")
        + (platform.repository.bare / "config").read_text(),
        "MLflow": json.dumps(mlflow(platform, ended)),
    }


def places(secret: str, written: dict[str, str]) -> set[str]:
    """Where the secret stands, in whatever form."""
    wanted = forms(secret)
    bare = {place: squeezed(text) for place, text in written.items()}
    return {place for place, text in bare.items() if any(form in text for form in wanted)}


def forms(secret: str) -> set[str]:
    """The secret as it is, quoted for a URL or for JSON, and as it looks inside anything in base64."""
    written = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return written | inside_base64(secret.encode())


def inside_base64(content: bytes) -> set[str]:
    """The characters that stand in every base64 text around this content (`user:token`, a header), at each offset."""
    found = set()
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + content).decode()
        # A character of six bits is the content's alone if it has no bit of what stands before or after.
        core = text[-(-8 * offset // 6) : 8 * (offset + len(content)) // 6]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


def squeezed(text: str) -> str:
    """Without what a log puts between the characters of a long line: breaks, colours, frames."""
    return re.sub(r"\x1b\[[0-9;]*m|[\s│]", "", text)


def rendered_fields(ended: Finished) -> dict[str, dict[str, Any]]:
    """Task id → the template fields as Airflow's UI shows them."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Fields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(Fields).where(Fields.dag_id == DAG_ID, Fields.run_id == ended.run_id)).unique()
        return {row.task_id: {"fields": row.rendered_fields, "pod": row.k8s_pod_yaml} for row in rows}


def xcoms(ended: Finished) -> dict[str, Any]:
    """`<task id>.<key>` → value, of every task."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        chosen = select(XComModel).where(XComModel.dag_id == DAG_ID, XComModel.run_id == ended.run_id)
        return {f"{row.task_id}.{row.key}": row.value for row in session.scalars(chosen).unique()}


def conf(ended: Finished) -> Any:
    """What the run was started with."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalar(select(DagRun.conf).where(DagRun.dag_id == DAG_ID, DagRun.run_id == ended.run_id))


def database() -> str:
    """All of Airflow's database: also what no page shows, such as the arguments of triggers."""
    with contextlib.closing(sqlite3.connect(airflow_environment.HOME / "airflow.db")) as connection:
        return "\n".join(connection.iterdump())


def mlflow(platform: Platform, ended: Finished) -> dict[str, Any]:
    """Tags and params of the run, tags and descriptions of the registered model and its versions."""
    client, found = platform.client, dict[str, Any]()
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], f"tags.dag_run_id = '{ended.run_id}'"):
            found[run.info.run_id] = {"tags": run.data.tags, "params": run.data.params, "name": experiment.name}
    for version in client.search_model_versions(f"name = '{platform.model}'"):
        found[f"version {version.version}"] = {"tags": version.tags, "description": version.description}
    return found
