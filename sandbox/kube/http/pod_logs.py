"""``GET pods/<name>/log``: a container's log, streamed in chunks while it grows."""

from __future__ import annotations

import time
from collections import deque

from aiohttp import web

from sandbox.kube import clock
from sandbox.kube.errors import ApiError
from sandbox.kube.http.request import flag, number
from sandbox.kube.node.container import Container
from sandbox.kube.node.kubelet import Kubelet
from sandbox.kube.node.logs import LogFile
from sandbox.kube.objects.store import Object


async def serve_log(request: web.Request, kubelet: Kubelet, pod: Object) -> web.StreamResponse:
    """Answer a log request. Raises ApiError 400 while there is no log to read, in kubelet's words."""
    stream = request.query.get("stream", "All")
    if stream != "All":
        raise ApiError(422, f'stream: Unsupported value: {stream!r}: supported values here: "All"')
    container = kubelet.container(pod, request.query.get("container"))
    log = _log(container, pod, previous=flag(request, "previous"))
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    writer = _Writer(request)
    tail, follow = number(request, "tailLines"), flag(request, "follow")
    skip = 0
    if tail is not None:
        last: deque[tuple[str, bool, bytes]] = deque(maxlen=tail)
        async for batch in log.lines(False):
            skip += len(batch)
            last.extend(batch)
        await response.write(writer.limit(b"".join(writer.text(*entry) for entry in last)))
    if tail is None or follow:
        seen = 0
        async for batch in log.lines(follow):
            fresh = batch[max(0, skip - seen) :]
            seen += len(batch)
            if data := writer.limit(b"".join(writer.text(*entry) for entry in fresh)):
                await response.write(data)
            if writer.full:
                break
    await response.write_eof()
    return response


def _log(container: Container, pod: Object, *, previous: bool) -> LogFile:
    name, pod_name = container.name, pod["metadata"]["name"]
    if previous:
        if len(container.logs) < 2:
            raise ApiError(400, f'previous terminated container "{name}" in pod "{pod_name}" not found')
        return container.logs[-2]
    if not container.logs:
        reason = container.state.state.get("waiting", {}).get("reason", "ContainerCreating")
        raise ApiError(400, f'container "{name}" in pod "{pod_name}" is waiting to start: {reason}')
    return container.logs[-1]


class _Writer:
    """Turns log entries into the text that was asked for."""

    def __init__(self, request: web.Request) -> None:
        self.timestamps = flag(request, "timestamps")
        self.left = number(request, "limitBytes")
        self._line_start = True
        seconds, since = number(request, "sinceSeconds"), request.query.get("sinceTime")
        try:
            self.since = clock.parse(since) if since else time.time() - seconds if seconds is not None else 0.0
        except ValueError as error:
            raise ApiError(400, f"sinceTime: Invalid value: {since!r}: must be an RFC 3339 time") from error

    @property
    def full(self) -> bool:
        """Whether limitBytes is used up."""
        return self.left is not None and self.left <= 0

    def text(self, timestamp: str, partial: bool, line: bytes) -> bytes:
        """One entry; nothing when it is older than what was asked for."""
        if self.since and clock.parse(timestamp) < self.since:
            return b""
        head = f"{timestamp} ".encode() if self.timestamps and self._line_start else b""
        self._line_start = not partial
        return head + line + (b"" if partial else b"\n")

    def limit(self, data: bytes) -> bytes:
        """As much of ``data`` as limitBytes still allows."""
        if self.left is None:
            return data
        data = data[: max(0, self.left)]
        self.left -= len(data)
        return data
