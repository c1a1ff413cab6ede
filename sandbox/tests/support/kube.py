"""A real `python -m sandbox.kube` process, and the objects that its tests make."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from sandbox.tests.support import ROOT

SERVE = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, bind=sys.argv[1], port=8000)"


class Server:
    """One API server process with its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kubeconfig = root / "kubeconfig"
        images = root.parent / f"{root.name}-images.yaml"
        entries = {
            "python": {"venv": sys.prefix, "env": {"FROM_IMAGE": "yes"}},
            "git-sync": {"venv": sys.prefix, "path": ["sandbox/images/git-sync"], "command": ["git-sync"]},
            "unbuilt": {"venv": ".venv/no-such-environment"},
        }
        images.write_text(yaml.safe_dump({"images": entries}))
        command = [
            sys.executable, "-m", "sandbox.kube", "--root", str(root), "--images", str(images),
            "--repository-root", str(ROOT), "--backoff", "0.2",
        ]  # fmt: skip
        self.errors = (root.parent / f"{root.name}-stderr").open("w+")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        if not self.ready_line.startswith("kube: ready"):
            self.process.kill()
            raise AssertionError(f"the server did not start: {self.ready_line}{self.stderr()}")
        self.api_client = config.new_client_from_config(str(self.kubeconfig))

    @property
    def address(self) -> str:
        """The administrator's URL of the API."""
        return str(yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])

    def stderr(self) -> str:
        """What it wrote to standard error."""
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.api_client.close()
        return code


def eventually(question: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """The first true answer. Fails the test when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain for: {what}")


def pod(name: str, code: str, **spec: Any) -> dict[str, Any]:
    """A pod that runs Python code once, in a container `main`; container fields go into ``container``."""
    container = {
        "name": "main",
        "image": "python",
        "command": ["python", "-u", "-c", code],
        **spec.pop("container", {}),
    }
    meta = {"name": name, "labels": {"app": name}}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 2, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def finished(core: client.CoreV1Api, namespace: str, name: str) -> client.V1Pod:
    """The pod, once it succeeded or failed."""

    def look() -> client.V1Pod | None:
        found = core.read_namespaced_pod(name, namespace)
        return found if found.status.phase in ("Succeeded", "Failed") else None

    found: client.V1Pod = eventually(look, f"the end of pod {name}")
    return found


def deployment(name: str, version: str, **spec: Any) -> dict[str, Any]:
    """A web server whose answer is its version; ``pod`` and ``container`` add fields there."""
    command = f"echo {version} > index.html; exec python -c '{SERVE}' $(POD_IP)"
    container = {
        "name": "web",
        "image": "python",
        "command": ["sh", "-c", command],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        **spec.pop("container", {}),
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container], **spec.pop("pod", {})},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def service(name: str) -> dict[str, Any]:
    """A service in front of a deployment of that name."""
    ports = [{"name": "http", "port": 8000, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }
