"""The few calls of Airflow's and MLflow's REST APIs by which a run is triggered, followed and reported.

The standard library only: a person's machine beside a cluster has nothing else.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class RestError(Exception):
    """A server does not answer, or answers with an error, whose `status` is given then; its text is in the message."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def call(method: str, url: str, body: Any = None, token: str = "", seconds: float = 60) -> Any:
    """One request, answered within some seconds; the parsed answer.

    Raises:
        RestError: no answer, or an answer that is an error.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data)
    request.add_header("Content-Type", "application/json")
    request.add_header("Accept", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:2000]
        raise RestError(f"{method} {url} answered {error.code}: {said}", error.code) from error
    except (OSError, http.client.HTTPException) as error:
        raise RestError(f"{method} {url}: no answer ({error}).") from error


class Airflow:
    """Airflow's REST API (v2) for one DAG.

    Args:
        url: its address.
        dag: the DAG's id.
        login: name and password of a user who may trigger it; none where every user is an administrator, and a token
            is given without a password.

    Raises:
        RestError: from every method; Airflow does not answer, or refuses.
    """

    def __init__(self, url: str, dag: str, login: tuple[str, str] | None = None) -> None:
        self.url, self.dag = url, dag
        given = None if login is None else {"username": login[0], "password": login[1]}
        answer = call("GET" if login is None else "POST", f"{url}/auth/token", given)
        self._token = str(answer["access_token"])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return call(method, f"{self.url}/api/v2/{path}", body, self._token)

    def known(self) -> bool:
        """Whether the DAG processor has read the DAG. Another pipeline's file that is wrong does not matter.

        Raises:
            RestError: it is not there, and a DAG's file cannot be imported; the traceback is in the message.
        """
        if any(dag["dag_id"] == self.dag for dag in self._call("GET", "dags?limit=100&exclude_stale=true")["dags"]):
            return True
        errors = self._call("GET", "importErrors")["import_errors"]
        if errors:
            raise RestError("A DAG file cannot be imported:\n" + "\n".join(e["stack_trace"] for e in errors))
        return False

    def pools(self) -> set[str]:
        """Names of all pools."""
        return {str(pool["name"]) for pool in self._call("GET", "pools?limit=1000")["pools"]}

    def make_pool(self, name: str, slots: int) -> None:
        """Make a pool."""
        self._call("POST", "pools", {"name": name, "slots": slots})

    def trigger(self, params: dict[str, Any]) -> str:
        """Unpause the DAG and start a run; its id."""
        self._call("PATCH", f"dags/{self.dag}", {"is_paused": False})
        run = self._call("POST", f"dags/{self.dag}/dagRuns", {"logical_date": None, "conf": params})
        return str(run["dag_run_id"])

    def state(self, run: str) -> str:
        """The run's state: queued, running, success or failed."""
        return str(self._call("GET", f"dags/{self.dag}/dagRuns/{_quoted(run)}")["state"])

    def last_success(self) -> str:
        """The last run that ended well; its id."""
        found = self._call("GET", f"dags/{self.dag}/dagRuns?state=success&order_by=-run_after&limit=1")
        return str(found["dag_runs"][0]["dag_run_id"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """The run's task instances in the order in which they started."""
        found = self._call("GET", f"dags/{self.dag}/dagRuns/{_quoted(run)}/taskInstances?limit=100")["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9")

    def xcom(self, run: str, task: str, key: str = "return_value") -> Any:
        """What a task returned, or left under another key; None if it did not."""
        path = f"dags/{self.dag}/dagRuns/{_quoted(run)}/taskInstances/{task}/xcomEntries/{key}"
        try:
            value = self._call("GET", path)["value"]
        except RestError as error:
            if error.status == 404:
                return None
            raise
        return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value

    def log(self, run: str, task: dict[str, Any]) -> list[str]:
        """The lines of a task's last try."""
        path = f"dags/{self.dag}/dagRuns/{_quoted(run)}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self._call("GET", f"{path}?full_content=true")["content"]
        return [text for line in content for text in _text(line)]


class Mlflow:
    """The few reads of MLflow's REST API that the report needs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, run_id: str) -> dict[str, Any]:
        """A run's tags and latest metrics."""
        data = call("GET", f"{self.url}/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]["data"]
        return {
            "tags": {tag["key"]: tag["value"] for tag in data.get("tags", [])},
            "metrics": {metric["key"]: metric["value"] for metric in data.get("metrics", [])},
        }

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """A metric's (step, value) pairs, oldest first."""
        query = urllib.parse.urlencode({"run_id": run_id, "metric_key": metric})
        found = call("GET", f"{self.url}/api/2.0/mlflow/metrics/get-history?{query}").get("metrics", [])
        return sorted((int(point["step"]), float(point["value"])) for point in found)

    def artifact(self, run_id: str, path: str) -> bytes:
        """An artifact's bytes."""
        query = urllib.parse.urlencode({"run_uuid": run_id, "path": path})
        try:
            with urllib.request.urlopen(f"{self.url}/get-artifact?{query}", timeout=60) as response:
                return bytes(response.read())
        except OSError as error:
            raise RestError(f"MLflow has no artifact {path} in run {run_id}: {error}") from error

    def alias(self, model: str, alias: str) -> str | None:
        """The version that an alias of a registered model points to."""
        query = urllib.parse.urlencode({"name": model, "alias": alias})
        try:
            answer = call("GET", f"{self.url}/api/2.0/mlflow/registered-models/alias?{query}")
        except RestError:
            return None
        return str(answer["model_version"]["version"])


def _text(line: Any) -> list[str]:
    """A structured log line as the UI shows it: the event, then the errors that it carries, outermost last."""
    if not isinstance(line, dict):
        return [str(line)]
    errors = line.get("error_detail") or []
    return [str(line.get("event", line)), *(f"{e['exc_type']}: {e['exc_value']}" for e in reversed(errors))]


def _quoted(run: str) -> str:
    return urllib.parse.quote(run, safe="")
