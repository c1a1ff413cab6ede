"""kubectl as a subprocess: it knows every way to log in to a cluster."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.errors import ClusterError, KubectlError

Object = dict[str, Any]


class Kubectl:
    """Calls against one context (empty: the current one)."""

    def __init__(self, context: str = "") -> None:
        self.context = context

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return ["kubectl", *(["--context", self.context] if self.context else []), *arguments]

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Run it and return what it printed.

        Raises:
            KubectlError: it failed, or took longer than `timeout` seconds.
        """
        command = self.command(*arguments)
        shown = " ".join(command)
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"`{shown}` did not end in {timeout:.0f} s. Is the cluster reachable?", "") from error
        if done.returncode:
            raise KubectlError(f"`{shown}` failed: {done.stderr.strip()}", done.stderr)
        return done.stdout

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None if there is none, nor perhaps its kind or namespace."""
        where = ["--namespace", namespace] if namespace else []
        try:
            text = self.run("get", kind, name, *where, "--ignore-not-found", "--output", "json")
        except KubectlError as error:
            if "doesn't have a resource type" in error.output:
                return None
            raise
        found: Object | None = json.loads(text) if text.strip() else None
        return found

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or all; none if the cluster does not know the kind."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        where += ["--selector", selector] if selector else []
        try:
            items: list[Object] = json.loads(self.run("get", kind, *where, "--output", "json"))["items"]
        except KubectlError as error:
            if "doesn't have a resource type" in error.output:
                return []
            raise
        return items

    def may(self, verb: str, resource: str) -> bool:
        """Whether this user may do it in every namespace; `resource` is plural, with its group after a dot, or `*`."""
        plural, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": plural, "group": "*" if plural == "*" else group}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        body = json.dumps({**review, "spec": {"resourceAttributes": attributes}})
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = json.loads(self.run("create", "--raw", path, "--filename", "-", stdin=body))
        return bool(answer.get("status", {}).get("allowed"))

    def secret_objects(self, namespace: str, *names: str) -> Iterator[Object]:
        """Those Secrets of these names that there are, as the API gives them."""
        # For each name that there is not, kubectl asks twice, and after ten requests it waits before each.
        for first in range(0, len(names), 5):
            arguments = ["--namespace", namespace, "--ignore-not-found", "--output", "json"]
            text = self.run("get", "secret", *names[first : first + 5], *arguments).strip()
            found = json.loads(text) if text else {"items": []}
            yield from found.get("items", [found])

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """A Secret's values, decoded, or None."""
        return next((decoded(found) for found in self.secret_objects(namespace, name)), None)

    @contextmanager
    def forward(self, namespace: str, service: str, port: int) -> Iterator[str]:
        """A URL on this machine that leads to a Service while the context lasts."""
        command = self.command("--namespace", namespace, "port-forward", f"service/{service}", f":{port}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            # It writes a line for each connection, and would stop at a full pipe.
            drain = threading.Thread(target=process.stdout.read, daemon=True)
            try:
                found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                if found is None:
                    raise ClusterError(
                        f"Service {service} in namespace {namespace} cannot be reached: "
                        f"{process.stderr.read().strip()} Look at its pods: `kubectl -n {namespace} get pods`."
                    )
                drain.start()
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()
                process.wait(10)
                if drain.ident:
                    drain.join(10)


def decoded(secret: Object) -> dict[str, str]:
    """A Secret's values."""
    return {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
