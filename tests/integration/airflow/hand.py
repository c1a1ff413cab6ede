"""Does by hand what Argo CD does: follows the branch, rolls out what it pins, and writes the Application's status."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from tests.integration.airflow.servers import Kube, Served
from tests.support.release_repository import Repository

APPLICATION = "apis/argoproj.io/v1alpha1/namespaces/argocd/applications/sandbox-detector"


class Hand(threading.Thread):
    """Looks at the branch ten times a second. Versions in `broken` never become healthy; `paused` looks away."""

    def __init__(self, repository: Repository, kube: Kube, served: Served, candidate: Served) -> None:
        super().__init__()
        self.repository, self.kube, self.served, self.candidate = repository, kube, served, candidate
        self.broken: dict[int, str] = {}
        self.paused = threading.Event()
        self._ended = threading.Event()
        self._seen = ""
        kube.apply(
            "applications",
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": "sandbox-detector", "namespace": "argocd"},
                "spec": {"project": "default", "destination": {"namespace": "sandbox", "name": "in-cluster"}},
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
        tip, pin = self.repository.tip, self.repository.pin()
        beside = pin.get("candidate") or {"version": None, "sha256": "", "runId": ""}
        trouble = self.broken.get(pin["version"]) or self.broken.get(beside["version"])
        for server, wanted in ((self.served, pin), (self.candidate, beside)):
            if wanted["version"] not in self.broken:
                server.version, server.sha256, server.run_id = wanted["version"], wanted["sha256"], wanted["runId"]
                server.name = pin["registeredModel"]
        health = {"status": "Degraded", "message": trouble} if trouble else {"status": "Healthy", "message": None}
        self.set_status(tip, health)
        self._seen = tip

    def set_status(self, revision: str, health: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        status = {
            "sync": {"status": "Synced", "revision": revision},
            "health": health,
            "operationState": {"phase": "Succeeded", "finishedAt": now, "syncResult": {"revision": revision}},
            "reconciledAt": now,
        }
        self.kube.request("PATCH", APPLICATION, {"status": status}, "application/merge-patch+json")

    def refreshes(self) -> str | None:
        """The refresh annotation as the DAG left it."""
        annotations = self.kube.request("GET", APPLICATION)["metadata"].get("annotations") or {}
        found: str | None = annotations.get("argocd.argoproj.io/refresh")
        return found
