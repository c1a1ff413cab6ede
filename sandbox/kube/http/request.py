"""What a request asks for: its URL, its query, its body, in Kubernetes' terms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from sandbox.kube.errors import ApiError
from sandbox.kube.http import protobuf
from sandbox.kube.objects import kinds, selectors
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object

_QUERY = {
    "fieldManager", "fieldValidation", "force", "dryRun", "pretty", "limit", "continue", "labelSelector",
    "fieldSelector", "watch", "resourceVersion", "resourceVersionMatch", "allowWatchBookmarks", "timeoutSeconds",
    "timeout", "includeObject", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "container", "follow",
    "previous", "timestamps", "tailLines", "sinceSeconds", "sinceTime", "limitBytes", "insecureSkipTLSVerifyBackend",
    "sendInitialEvents", "stream",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A resource URL taken apart. ``namespace`` is None for all namespaces (and for cluster-scoped kinds)."""

    kind: Kind
    namespace: str | None
    name: str | None
    subresource: str


def target(path: str) -> Target | None:
    """The target of ``/api/v1/…`` or ``/apis/<group>/<version>/…``; None when the kind is unknown."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = kinds.find(group, version, rest[0]) if rest else None
    if kind is None or len(rest) > 3 or (namespace is not None and not kind.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else None
    return Target(kind, namespace, name, rest[2] if len(rest) > 2 else "")


def check_query(request: web.Request) -> None:
    """Raise ApiError 400 for a query parameter that nothing here reads."""
    unknown = set(request.query) - _QUERY
    if unknown:
        raise ApiError(400, f"query parameters not supported by the sandbox's Kubernetes: {', '.join(sorted(unknown))}")
    if request.query.get("sendInitialEvents"):
        raise ApiError(422, "sendInitialEvents: Forbidden: streaming lists are not supported", reason="Invalid")


def flag(request: web.Request, name: str) -> bool:
    """A boolean query parameter, in the spellings that clients use."""
    return request.query.get(name, "").lower() in ("true", "1")


def number(request: web.Request, name: str) -> int | None:
    """An integer query parameter; raises ApiError 400 when it is something else."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise ApiError(400, f"{name}: Invalid value: {text!r}: must be an integer") from error


class Filter:
    """The label and field selectors of a request."""

    def __init__(self, kind: Kind, request: web.Request) -> None:
        self._labels = selectors.parse_labels(request.query.get("labelSelector", ""))
        self._fields = selectors.parse_fields(kind, request.query.get("fieldSelector", ""))

    def __call__(self, obj: Object) -> bool:
        return selectors.labels_match(self._labels, obj["metadata"].get("labels")) and selectors.fields_match(
            self._fields, obj
        )


def manager(request: web.Request) -> str:
    """Who writes, where a field's owner is recorded: as told, or the client's program."""
    return request.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").partition("/")[0]


def wants_table(request: web.Request) -> bool:
    """Whether kubectl asks for columns."""
    return "as=Table" in request.headers.get("Accept", "")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


async def object_of(request: web.Request) -> Any:
    """The object that a POST or PUT sends. Raises ApiError 415 where its type is not told, and as `body` does."""
    if not any(form in request.content_type for form in ("json", "yaml", "protobuf")):
        raise ApiError(415, "the body of the request was in an unknown format - accepted media types: application/json")
    return await body(request)


async def body(request: web.Request) -> Any:
    """The body, from JSON or YAML; None when there is none. Raises ApiError 400, 415 or 422."""
    raw = await request.read()
    if not raw.strip():
        return None
    if "protobuf" in request.content_type:
        return protobuf.decode(raw)
    try:
        if "yaml" in request.content_type:
            return yaml.load(raw, Loader=_Loader)
        return json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, f"the body cannot be read: {error}") from error
