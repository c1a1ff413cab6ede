"""Watches: the changes after a resource version, filtered, as one JSON document a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from sandbox.kube.errors import ApiError
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Change, Object, Store

BOOKMARK_SECONDS = 30.0


async def watch(
    store: Store, kind: Kind, namespace: str | None, version: str, matches: Callable[[Object], bool], limit: float
) -> AsyncIterator[tuple[str, Object]]:
    """(type, object) pairs until ``limit`` seconds have passed.

    Without a version (or with "0") the present objects come first, as ADDED. An object that begins or ceases to match
    comes as ADDED or DELETED. Raises ApiError 410 when the changes after ``version`` are no longer known.
    """
    queue: asyncio.Queue[Change] = asyncio.Queue()
    backlog: list[Change] = []
    if version in ("", "0"):
        for obj in store.list(kind, namespace):
            if matches(obj):
                yield "ADDED", obj
    else:
        if int(version) < store.oldest:
            raise ApiError(410, f"too old resource version: {version} ({store.oldest})", reason="Expired")
        backlog = store.since(int(version))
    stop = store.listen(queue.put_nowait)
    try:
        for change in backlog:
            if event := _event(change, kind, namespace, matches):
                yield event
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                    change = await queue.get()
            except TimeoutError:
                yield "BOOKMARK", _bookmark(kind, store.version)
                continue
            if event := _event(change, kind, namespace, matches):
                yield event
    finally:
        stop()


def _event(
    change: Change, kind: Kind, namespace: str | None, matches: Callable[[Object], bool]
) -> tuple[str, Object] | None:
    if change.kind != kind:
        return None
    if namespace is not None and change.object["metadata"].get("namespace") != namespace:
        return None
    before = change.former is not None and matches(change.former)
    after = change.type != "DELETED" and matches(change.object)
    if after:
        return ("MODIFIED" if before else "ADDED"), change.object
    return ("DELETED", change.object) if before else None


def _bookmark(kind: Kind, version: int) -> Object:
    meta: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
