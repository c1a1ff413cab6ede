"""The Kubernetes API over HTTP: discovery, list, get, server-side apply, merge patch, delete."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import yaml

from sandbox.argocd.errors import ApiError, UnsupportedError

Manifest = dict[str, Any]
FIELD_MANAGER = "argocd-controller"


@dataclass(frozen=True)
class Resource:
    """Where a kind lives in the API."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL's path of the collection, or of one object."""
        prefix = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [prefix]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


# How a cluster names itself to what runs in it; the only destination that the stand-in has.
IN_CLUSTER = "https://kubernetes.default.svc"
ARGO = "argoproj.io/v1alpha1"
APPLICATIONS = Resource(ARGO, "Application", "applications", True)
APPLICATION_SETS = Resource(ARGO, "ApplicationSet", "applicationsets", True)
PROJECTS = Resource(ARGO, "AppProject", "appprojects", True)
SECRETS = Resource("v1", "Secret", "secrets", True)
NAMESPACES = Resource("v1", "Namespace", "namespaces", False)


class KubeApi:
    """A client for the current context of a kubeconfig. Use it as an async context manager."""

    def __init__(self, kubeconfig: Path) -> None:
        self._server, self._headers, self._ssl = _connection(kubeconfig)
        self._session: aiohttp.ClientSession | None = None
        self._resources: dict[tuple[str, str], Resource] = {}

    async def __aenter__(self) -> KubeApi:
        timeout = aiohttp.ClientTimeout(total=30)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, trust_env=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session:
            await self._session.close()

    async def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """One request; the parsed JSON answer.

        Raises:
            ApiError: an answer of 400 or more (with the server's own message), or no answer (status 0).
        """
        if self._session is None:
            raise RuntimeError("KubeApi is an async context manager: enter it first")
        try:
            async with self._session.request(method, self._server + path, ssl=self._ssl, **kwargs) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(
                0, f"{method} {path}: the API server does not answer ({error or type(error).__name__})"
            ) from error
        if response.status >= 400:
            raise ApiError(response.status, f"{method} {path}: {response.status} {_message(text)}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise ApiError(response.status, f"{method} {path}: the answer is no JSON: {text[:200]}") from error

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Look a kind up in the server's discovery documents.

        Raises:
            UnsupportedError: the server has no such kind.
        """
        key = (api_version, kind)
        if key not in self._resources:
            prefix = "/apis/" if "/" in api_version else "/api/"
            try:
                found = (await self.request("GET", prefix + api_version))["resources"]
            except ApiError as error:
                if error.status != 404:
                    raise
                found = []
            for entry in found:
                if "/" not in entry["name"]:
                    known = Resource(api_version, entry["kind"], entry["name"], bool(entry["namespaced"]))
                    self._resources[(api_version, entry["kind"])] = known
        if key not in self._resources:
            raise UnsupportedError(
                f"The API server knows no kind {kind} in {api_version}; install its CRD or leave it out."
            )
        return self._resources[key]

    async def list(self, resource: Resource, namespace: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind in a namespace, each with apiVersion and kind set."""
        params = {"labelSelector": selector} if selector else {}
        answer = await self.request("GET", resource.path(namespace), params=params)
        return [{**item, "apiVersion": resource.api_version, "kind": resource.kind} for item in answer["items"]]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """One object, or None."""
        try:
            return await self.request("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, resource: Resource, manifest: Manifest, manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply, taking over fields that another manager has set."""
        meta = manifest["metadata"]
        return await self.request(
            "PATCH",
            resource.path(meta.get("namespace"), meta["name"]),
            params={"fieldManager": manager, "force": "true"},
            data=json.dumps(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Manifest, subresource: str = ""
    ) -> Manifest:
        """JSON merge patch (RFC 7386) of an object, or of its status."""
        path = resource.path(namespace, name) + (f"/{subresource}" if subresource else "")
        headers = {"Content-Type": "application/merge-patch+json"}
        return await self.request(
            "PATCH", path, params={"fieldManager": FIELD_MANAGER}, data=json.dumps(patch), headers=headers
        )

    async def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object and, through the garbage collector, what it owns. One that is already gone is no error."""
        try:
            await self.request("DELETE", resource.path(namespace, name), params={"propagationPolicy": "Foreground"})
        except ApiError as error:
            if error.status != 404:
                raise


def _message(text: str) -> str:
    try:
        return str(json.loads(text).get("message") or text)
    except (ValueError, AttributeError):
        return text[:500]


def _connection(kubeconfig: Path) -> tuple[str, dict[str, str], ssl.SSLContext | bool]:
    config = yaml.safe_load(kubeconfig.read_text())
    context = {c["name"]: c["context"] for c in config["contexts"]}[config["current-context"]]
    cluster = {c["name"]: c["cluster"] for c in config["clusters"]}[context["cluster"]]
    user = {u["name"]: u.get("user") or {} for u in config.get("users") or []}.get(context.get("user", ""), {})
    headers = {"Accept": "application/json"}
    if user.get("token"):
        headers["Authorization"] = f"Bearer {user['token']}"
    if set(user) - {"token"}:
        raise UnsupportedError(
            f"{kubeconfig}: of a user only `token` is supported, not {sorted(set(user) - {'token'})}."
        )
    server = cluster["server"].rstrip("/")
    if not server.startswith("https:"):
        return server, headers, True
    ca = cluster.get("certificate-authority-data")
    return server, headers, ssl.create_default_context(cadata=base64.b64decode(ca).decode() if ca else None)
