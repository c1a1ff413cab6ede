"""A cluster to check: the sandbox's real API server, and before it what that one has not, as a test wants it.

It adds the version, the user's rights (SelfSubjectAccessReview), nodes and StorageClasses, and remembers every request
that would change something.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
# group/version to (plural, kind, namespaced): what the sandbox's API does not serve.
ADDED = {
    "v1": [("nodes", "Node")],
    "storage.k8s.io/v1": [("storageclasses", "StorageClass")],
    "authorization.k8s.io/v1": [("selfsubjectaccessreviews", "SelfSubjectAccessReview")],
}


class Listener(ThreadingHTTPServer):
    """Takes all connections that kubectl opens at once to learn what is served: one that is turned away costs 1 s."""

    request_queue_size = 64
    daemon_threads = True


@dataclass
class Front:
    """The state, and the server that shows it."""

    upstream: str
    minor: str = "33"
    denied: set[str] = field(default_factory=set)
    classes: list[dict[str, Any]] = field(default_factory=lambda: [named("local-path", annotations=DEFAULT)])
    nodes: list[dict[str, Any]] = field(default_factory=lambda: [named("node-1")])
    writes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def _serve(self) -> None:
                front.answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

        self.server = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def version(self) -> str:
        """The version in full; some providers put a + to the minor alone."""
        return f"v1.{self.minor.rstrip('+')}.1"

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig whose current context, `front`, leads here."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "front", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}],
            "users": [{"name": "front", "user": {}}],
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "front"}}],
            "current-context": "front",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Serve one request: ours, or the upstream's."""
        path = urlsplit(request.path).path
        body = received(request)
        ours: dict[str, Callable[[], Any]] = {
            "/version": lambda: {"major": "1", "minor": self.minor, "gitVersion": self.version},
            "/api/v1/nodes": lambda: listing("v1", "Node", self.nodes),
            "/apis/storage.k8s.io/v1/storageclasses": lambda: listing(
                "storage.k8s.io/v1", "StorageClass", self.classes
            ),
            REVIEWS: lambda: self._review(json.loads(body)),
            "/api/v1": lambda: self._discovery("v1", path),
            "/apis": self._groups,
        }
        for group_version in ADDED:
            ours.setdefault(f"/apis/{group_version}", partial(self._discovery, group_version, ""))
        if path in ours:
            send(request, 201 if path == REVIEWS else 200, json.dumps(ours[path]()).encode())
            return
        if request.command != "GET":
            self.writes.append(f"{request.command} {path}")
        self._forward(request, body)

    def _review(self, review: dict[str, Any]) -> dict[str, Any]:
        asked = review["spec"]["resourceAttributes"]
        allowed = f"{asked['verb']} {asked['resource']}" not in self.denied
        return {**review, "apiVersion": "authorization.k8s.io/v1", "status": {"allowed": allowed}}

    def _discovery(self, group_version: str, upstream_path: str) -> dict[str, Any]:
        found = self.read(upstream_path) if upstream_path else {"kind": "APIResourceList", "resources": []}
        added = [
            {
                "name": plural,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": False,
                "verbs": ["get", "list", "create"],
            }
            for plural, kind in ADDED[group_version]
        ]
        return {**found, "groupVersion": group_version, "resources": [*found["resources"], *added]}

    def _groups(self) -> dict[str, Any]:
        found = self.read("/apis")
        for group_version in ADDED:
            if "/" in group_version:
                version = {"groupVersion": group_version, "version": group_version.partition("/")[2]}
                group = {"name": group_version.partition("/")[0], "versions": [version], "preferredVersion": version}
                found["groups"].append(group)
        return found

    def call(self, method: str, path: str, body: Any = None) -> None:
        """A request past everybody: neither kubectl's nor remembered."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.upstream + path, data=data, method=method)
        patch = "merge-patch+" if method == "PATCH" else ""
        request.add_header("Content-Type", f"application/{patch}json")
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode())
            raise

    def read(self, path: str) -> Any:
        """What the API server answers."""
        with urllib.request.urlopen(self.upstream + path, timeout=20) as response:
            return json.load(response)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept") if request.headers[name]}
        onward = urllib.request.Request(
            self.upstream + request.path, data=body or None, headers=headers, method=request.command
        )
        try:
            with urllib.request.urlopen(onward, timeout=60) as response:
                if "watch=" in request.path:
                    stream(request, response)
                    return
                content = response.read().replace(urlsplit(self.upstream).path.encode(), b"")
                send(request, response.status, content, response.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            send(request, error.code, error.read(), error.headers["Content-Type"])


def stream(request: BaseHTTPRequestHandler, response: Any) -> None:
    """Hand on a watch, event by event, until either side has had enough of it."""
    request.send_response(response.status)
    request.send_header("Content-Type", response.headers["Content-Type"])
    request.send_header("Connection", "close")
    request.end_headers()
    with suppress(OSError):
        while event := response.readline():
            request.wfile.write(event)
            request.wfile.flush()


def received(request: BaseHTTPRequestHandler) -> bytes:
    """A request's body; kubectl sends what it reads from its standard input in chunks."""
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


def named(name: str, *, annotations: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """An object without a namespace."""
    return {"metadata": {"name": name, "annotations": annotations or {}}, "status": {}, **more}


def listing(version: str, kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A list as the API gives it."""
    full = [{"apiVersion": version, "kind": kind, **item} for item in items]
    return {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": full}


def send(request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    """Answer a request."""
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
