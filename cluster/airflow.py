"""The few calls of Airflow's REST API (v2) by which a run is triggered and followed."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from cluster.errors import ClusterError


class Airflow:
    """One DAG of one Airflow.

    Args:
        url: its address.
        dag: the DAG's id.
        username, password: of a user who may trigger it.

    Raises:
        ClusterError: Airflow does not answer, or refuses the log-in.
    """

    def __init__(self, url: str, dag: str, username: str, password: str) -> None:
        self.url, self.dag, self._token = url, dag, ""
        answer = self._request("POST", f"{url}/auth/token", {"username": username, "password": password})
        self._token = str(answer["access_token"])

    def _request(self, method: str, url: str, body: Any = None) -> Any:
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:1000]
            raise ClusterError(f"Airflow answered {error.code} to {method} {url}: {said}") from error
        except OSError as error:
            raise ClusterError(
                f"Airflow does not answer at {url} ({error}). Look at its pods: `kubectl -n platform get pods`."
            ) from error

    def _dag(self, path: str = "") -> str:
        return f"{self.url}/api/v2/dags/{self.dag}{path}"

    def trigger(self, params: dict[str, Any]) -> str:
        """Unpause the DAG and start a run; its id.

        Raises:
            ClusterError: Airflow does not know the DAG (yet), or a parameter is not valid.
        """
        self._request("PATCH", self._dag(), {"is_paused": False})
        return str(self._request("POST", self._dag("/dagRuns"), {"logical_date": None, "conf": params})["dag_run_id"])

    def state(self, run: str) -> str:
        """queued, running, success or failed."""
        return str(self._request("GET", self._run(run))["state"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Task instances in the order in which they started."""
        found = self._request("GET", self._run(run, "/taskInstances?limit=100"))["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9")

    def xcom(self, run: str, task: str) -> Any:
        """What a task returned."""
        value = self._request("GET", self._run(run, f"/taskInstances/{task}/xcomEntries/return_value"))["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value

    def log(self, run: str, task: dict[str, Any]) -> list[str]:
        """The lines of a task's last try."""
        path = f"/taskInstances/{task['task_id']}/logs/{task['try_number']}?full_content=true"
        content = self._request("GET", self._run(run, path))["content"]
        return [str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in content]

    def _run(self, run: str, path: str = "") -> str:
        return self._dag(f"/dagRuns/{urllib.parse.quote(run, safe='')}{path}")
