"""A GitOps repository, the API server as kubectl would use it, and waiting for what Argo CD's stand-in does."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sandbox.tests.support import ROOT

Manifest = dict[str, Any]
CHART = Path(__file__).resolve().parent / "chart"
REMOTE = "https://github.com/your-org/yolo-lifecycle.git"
REFRESH = "argocd.argoproj.io/refresh"
PLURALS = {
    "Application": ("apis/argoproj.io/v1alpha1", "applications"),
    "ApplicationSet": ("apis/argoproj.io/v1alpha1", "applicationsets"),
    "AppProject": ("apis/argoproj.io/v1alpha1", "appprojects"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "Namespace": ("api/v1", "namespaces"),
}


class Api:
    """The API server, as kubectl would use it."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        self._token = (config["users"][0].get("user") or {}).get("token", "")

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """The parsed answer; raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{self._server}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def path(self, kind: str, name: str, namespace: str = "") -> str:
        """Where an object is."""
        prefix, plural = PLURALS[kind]
        return f"{prefix}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{prefix}/{plural}/{name}"

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """The object, or an empty mapping."""
        try:
            return self.request("GET", self.path(kind, name, namespace))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return {}

    def apply(self, manifest: Manifest) -> None:
        """Server-side apply."""
        meta = manifest["metadata"]
        path = self.path(manifest["kind"], meta["name"], meta.get("namespace", ""))
        self.request("PATCH", f"{path}?fieldManager=person&force=true", manifest, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, namespace: str, patch: Manifest) -> None:
        """Merge patch."""
        self.request("PATCH", self.path(kind, name, namespace), patch, "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str) -> None:
        """Delete."""
        self.request("DELETE", self.path(kind, name, namespace))


class Fork:
    """A clone of the GitOps repository, and the remote that it pushes to."""

    def __init__(self, root: Path) -> None:
        self.remote = root / "remote.git"
        self.clone = root / "clone"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), cwd=root)
        self.git("clone", "--quiet", str(self.remote), str(self.clone), cwd=root)
        self.git("checkout", "--quiet", "-b", "main")
        shutil.copytree(ROOT / "argocd-apps", self.clone / "argocd-apps")
        shutil.copytree(CHART, self.clone / "charts" / "triton")
        # A failed sync is tried again soon.
        appset = self.clone / "argocd-apps" / "applicationset.yaml"
        appset.write_text(appset.read_text().replace("duration: 5s", "duration: 1s"))

    def git(self, *args: str, cwd: Path | None = None) -> str:
        """Run git; its output."""
        who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        done = subprocess.run(
            ["git", *who, *args], cwd=cwd or self.clone, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.strip()

    def push(self, message: str) -> str:
        """Commit everything and push; the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def bump(self, version: int | None, environment: str = "staging") -> str:
        """Write a version as the DAG does, commit and push."""
        model = {"name": "digits", "registeredModel": "digits-detector", "version": version}
        if version is not None:
            model |= {"sha256": "ab" * 32, "runId": "cd" * 16}
        return self.write(f"argocd-apps/{environment}/detector/values.yaml", yaml.safe_dump({"models": [model]}))

    def write(self, path: str, text: str) -> str:
        """Write a file, commit and push."""
        target = self.clone / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return self.push(f"write {path}")


class Cluster:
    """The API, the fork, and waiting."""

    def __init__(self, api: Api, fork: Fork) -> None:
        self.api = api
        self.fork = fork

    def app(self, name: str = "staging-detector") -> Manifest:
        """An Application."""
        return self.api.get("Application", name, "argocd")

    def refresh(self, name: str = "staging-detector") -> None:
        """Ask for a refresh, and wait until it is done."""
        self.api.patch("Application", name, "argocd", {"metadata": {"annotations": {REFRESH: "normal"}}})
        self.until(lambda: REFRESH not in (self.app(name)["metadata"].get("annotations") or {}), f"{name} is refreshed")

    def live(self, revision: str, name: str = "staging-detector", health: str = "Healthy") -> Manifest:
        """Refresh, then wait until a revision is synced and has the health; the Application."""
        self.refresh(name)

        def there() -> bool:
            status = self.app(name)["status"]
            sync, operation = status["sync"], status["operationState"]
            done = operation["phase"] == "Succeeded" and operation["syncResult"]["revision"] == revision
            synced = sync["status"] == "Synced" and sync["revision"] == revision
            return bool(synced and done and status["health"]["status"] == health)

        self.until(there, f"{name} is synced to {revision[:8]} and {health}", lambda: self.app(name).get("status"))
        return self.app(name)

    @staticmethod
    def until(
        holds: Callable[[], bool], what: str, shown: Callable[[], Any] = lambda: None, seconds: float = 25
    ) -> None:
        """Wait; fail, with what ``shown`` returns, when it takes too long."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {json.dumps(shown(), indent=1)}"
            time.sleep(0.1)


def prepare(api: Api) -> None:
    """What an administrator does once."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}})
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "in-cluster",
                "namespace": "argocd",
                "labels": {
                    "argocd.argoproj.io/secret-type": "cluster",
                    "yolo-lifecycle/environment-staging": "true",
                },
            },
            "stringData": {"name": "in-cluster", "server": "https://kubernetes.default.svc", "config": "{}"},
        }
    )
