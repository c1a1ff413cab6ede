"""What is answered with: an object, a list, a watch; each as it is, or as columns for kubectl."""

from __future__ import annotations

import json
from contextlib import suppress

from aiohttp import web

from sandbox.kube.errors import ApiError
from sandbox.kube.http.request import Filter, Target, flag, number, wants_table
from sandbox.kube.http.tables import table
from sandbox.kube.http.watching import watch
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object, Store

WATCH_LIMIT = 3600


def answer(request: web.Request, kind: Kind, obj: Object, code: int = 200) -> web.Response:
    """An object."""
    if wants_table(request):
        obj = table(kind, [obj], _version(obj), include=_include(request))
    return web.json_response(obj, status=code)


def list_answer(store: Store, request: web.Request, asked: Target) -> web.Response:
    """The objects of a collection that the request selects."""
    chosen = Filter(asked.kind, request)
    found = [obj for obj in store.list(asked.kind, asked.namespace) if chosen(obj)]
    version = str(store.version)
    if wants_table(request):
        return web.json_response(table(asked.kind, found, version, include=_include(request)))
    return web.json_response(
        {
            "kind": f"{asked.kind.kind}List",
            "apiVersion": asked.kind.api_version,
            "metadata": {"resourceVersion": version},
            "items": found if asked.kind.custom else [_untyped(obj) for obj in found],
        }
    )


async def watch_answer(store: Store, request: web.Request, asked: Target) -> web.StreamResponse:
    """The changes of a collection, one JSON document a line. Raises ApiError 500 for a version that is no number."""
    limit = number(request, "timeoutSeconds") or WATCH_LIMIT
    as_table, bookmarks = wants_table(request), flag(request, "allowWatchBookmarks")
    chosen = Filter(asked.kind, request)
    version = request.query.get("resourceVersion", "")
    if version and not version.isdigit():
        raise ApiError(500, f'resourceVersion: Invalid value: "{version}": must be a number')
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    header = True
    # Whoever has gone in the meantime is no error.
    with suppress(ConnectionResetError):
        try:
            async for type_, obj in watch(store, asked.kind, asked.namespace, version, chosen, limit):
                if type_ == "BOOKMARK" and not bookmarks:
                    continue
                if as_table and type_ != "BOOKMARK":
                    obj = table(asked.kind, [obj], _version(obj), header=header, include=_include(request))
                    header = False
                await response.write(_event(type_, obj))
        except ApiError as error:
            await response.write(_event("ERROR", error.status()))
        await response.write_eof()
    return response


def _include(request: web.Request) -> str:
    return request.query.get("includeObject", "Metadata")


def _untyped(obj: Object) -> Object:
    """As an item of a list: kinds that are no custom resources are told by the list alone."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _event(type_: str, obj: Object) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"
