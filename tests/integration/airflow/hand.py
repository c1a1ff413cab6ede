"""Does by hand what Argo CD does: follows the branch, rolls out what it pins, and writes the Applications' status."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from tests.integration.airflow.servers import Kube, Served
from tests.support.release_repository import FILE, PRODUCTION, Repository

APPLICATIONS = "apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


class Hand(threading.Thread):
    """Looks at the branch ten times a second.

    Versions in `broken` never become healthy, those in `broken_in_production` not there, nor does the code of a commit
    in `broken_code`; `paused` looks away.
    """

    def __init__(
        self, repository: Repository, kube: Kube, served: Served, candidate: Served, production: Served
    ) -> None:
        super().__init__()
        self.repository, self.kube, self.served, self.candidate = repository, kube, served, candidate
        self.production = production
        self.broken: dict[int, str] = {}
        self.broken_in_production: dict[int, str] = {}
        self.broken_code: dict[str, str] = {}
        self.paused = threading.Event()
        self._ended = threading.Event()
        self._seen = ""
        for environment in ("staging", "production"):
            kube.apply(
                "applications",
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Application",
                    "metadata": {"name": f"{environment}-detector", "namespace": "argocd"},
                    "spec": {
                        "project": "default",
                        "destination": {"namespace": environment, "name": "in-cluster"},
                    },
                },
            )
        self.roll_out()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            if not self.paused.is_set() and self.repository.tip != self._seen:
                self.roll_out()

    def close(self) -> None:
        self._ended.set()
        self.join()

    def roll_out(self) -> None:
        tip = self.repository.tip
        self._roll_out(tip, "staging", self.served, self.candidate, FILE, self.broken)
        broken = {**self.broken, **self.broken_in_production}
        self._roll_out(tip, "production", self.production, None, PRODUCTION, broken)
        self._seen = tip

    def _roll_out(
        self, tip: str, environment: str, live: Served, candidate: Served | None, file: str, broken: dict[int, str]
    ) -> None:
        pin = self.repository.pin(file)
        beside = pin.get("candidate") or {"version": None, "sha256": "", "runId": ""}
        found: dict[int | None, str | None] = {}
        for server, wanted in ((live, pin), (candidate, beside)):
            code = wanted.get("codeCommit", "")
            found[wanted["version"]] = broken.get(wanted["version"]) or self.broken_code.get(code)
            if server is not None and not found[wanted["version"]]:
                server.version, server.sha256, server.run_id = wanted["version"], wanted["sha256"], wanted["runId"]
                server.code_commit, server.name = code, pin["registeredModel"]
        trouble = next(filter(None, found.values()), None)
        health = {"status": "Degraded", "message": trouble} if trouble else {"status": "Healthy", "message": None}
        self.set_status(tip, health, environment)

    def set_status(self, revision: str, health: dict[str, Any], environment: str = "staging") -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        status = {
            "sync": {"status": "Synced", "revision": revision},
            "health": health,
            "operationState": {"phase": "Succeeded", "finishedAt": now, "syncResult": {"revision": revision}},
            "reconciledAt": now,
        }
        path = f"{APPLICATIONS}/{environment}-detector"
        self.kube.request("PATCH", path, {"status": status}, "application/merge-patch+json")

    def refreshes(self) -> str | None:
        """The refresh annotation as the DAG left it."""
        annotations = self.kube.request("GET", f"{APPLICATIONS}/staging-detector")["metadata"].get("annotations") or {}
        found: str | None = annotations.get("argocd.argoproj.io/refresh")
        return found
