"""Does by hand what Argo CD does: follows the branch, rolls out what it pins, and writes the Applications' status.

A candidate gets a Deployment of the sandbox's Kubernetes, whose pod only sleeps; a double of Triton answers for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.integration.airflow.servers import Kube, Served
from tests.support.release_repository import FILE, PRODUCTION, Repository

APPLICATIONS = "apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
REFRESH = "argocd.argoproj.io/refresh"
CANDIDATE = "detector-digits-candidate"


def candidate_deployment(environment: str, version: int, *, starts: bool) -> dict[str, Any]:
    """What the chart renders of a candidate, as far as anybody here asks; one that does not start lacks its image."""
    labels = {"app.kubernetes.io/instance": "detector", "app.kubernetes.io/component": "digits-candidate"}
    image = f"ghcr.io/your-org/{'yolo-trainer' if starts else 'absent'}:1"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": CANDIDATE, "namespace": environment, "labels": labels},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 60 if starts else 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "yolo-lifecycle/model-version": str(version)}},
                "spec": {"containers": [{"name": "triton", "image": image, "command": ["sleep", "3600"]}]},
            },
        },
    }


def _health(trouble: str | None) -> dict[str, Any]:
    """An Application's."""
    return {"status": "Degraded", "message": trouble} if trouble else {"status": "Healthy", "message": None}


class Hand(threading.Thread):
    """Looks at the branch ten times a second.

    Versions in `broken` never become healthy, those in `broken_in_production` not there, nor does the code of a commit
    in `broken_code`, nor a folder in `broken_folders`; `paused` looks away, and `on_request` looks only where the DAG
    asks for a refresh, as Argo CD does between two of its rare looks.
    """

    def __init__(self, repository: Repository, kube: Kube, servers: Mapping[str, tuple[Served, Served]]) -> None:
        super().__init__()
        self.repository, self.kube, self.servers = repository, kube, servers
        self.broken: dict[int, str] = {}
        self.broken_in_production: dict[int, str] = {}
        self.broken_code: dict[str, str] = {}
        self.broken_folders: dict[str, str] = {}
        self.paused = threading.Event()
        self.on_request = threading.Event()
        self._candidates: dict[str, int] = {}
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
            if self.paused.is_set() or self.repository.tip == self._seen:
                continue
            if not self.on_request.is_set() or self.refreshes():
                self.roll_out()

    def close(self) -> None:
        self._ended.set()
        self.join()
        for environment in list(self._candidates):
            self._show_candidate(environment, None)

    def roll_out(self) -> None:
        tip = self.repository.tip
        self._roll_out(tip, "staging", FILE, self.broken)
        self._roll_out(tip, "production", PRODUCTION, {**self.broken, **self.broken_in_production})
        self._seen = tip

    def _roll_out(self, tip: str, environment: str, file: str, broken: dict[int, str]) -> None:
        pin, (live, candidate) = self.repository.pin(file), self.servers[environment]
        if "source" in pin:
            trouble = self.broken_folders.get(pin["source"]["s3"])
            live.source = live.source if trouble else pin["source"]["s3"]
            self.set_status(tip, _health(trouble), environment)
            return
        beside = pin.get("candidate") or {"version": None, "sha256": "", "runId": ""}
        found: dict[int | None, str | None] = {}
        for server, wanted in ((live, pin), (candidate, beside)):
            code = wanted.get("codeCommit", "")
            found[wanted["version"]] = broken.get(wanted["version"]) or self.broken_code.get(code)
            if not found[wanted["version"]]:
                server.version, server.sha256, server.run_id = wanted["version"], wanted["sha256"], wanted["runId"]
                server.code_commit, server.name = code, pin["registeredModel"]
        self._show_candidate(environment, beside["version"], starts=not found[beside["version"]])
        trouble = next(filter(None, found.values()), None)
        self.set_status(tip, _health(trouble), environment)

    def _show_candidate(self, environment: str, version: int | None, *, starts: bool = True) -> None:
        """Have the Deployment of that version, or none."""
        if self._candidates.get(environment) == version:
            return
        if version is None:
            del self._candidates[environment]
            self.kube.request("DELETE", f"apis/apps/v1/namespaces/{environment}/deployments/{CANDIDATE}")
        else:
            self._candidates[environment] = version
            self.kube.apply("deployments", candidate_deployment(environment, version, starts=starts))

    def set_status(self, revision: str, health: dict[str, Any], environment: str = "staging") -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        status = {
            "sync": {"status": "Synced", "revision": revision},
            "health": health,
            "operationState": {"phase": "Succeeded", "finishedAt": now, "syncResult": {"revision": revision}},
            "reconciledAt": now,
        }
        path = f"{APPLICATIONS}/{environment}-detector"
        done = {"metadata": {"annotations": {REFRESH: None}}} if self.on_request.is_set() else {}
        self.kube.request("PATCH", path, {"status": status, **done}, "application/merge-patch+json")

    def candidate_pods(self, environment: str = "staging") -> list[Any]:
        """The pods of the candidate."""
        query = "labelSelector=app.kubernetes.io/component=digits-candidate"
        found: list[Any] = self.kube.request("GET", f"api/v1/namespaces/{environment}/pods?{query}")["items"]
        return found

    def refreshes(self) -> str | None:
        """The refresh annotation as the DAG left it."""
        annotations = self.kube.request("GET", f"{APPLICATIONS}/staging-detector")["metadata"].get("annotations") or {}
        found: str | None = annotations.get(REFRESH)
        return found
