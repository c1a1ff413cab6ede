"""Startup, liveness and readiness probes of one run of a container, with Kubernetes' timing rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.kube.node.process import run_beside
from sandbox.kube.objects.store import Object


@dataclass(frozen=True)
class ActionContext:
    """What an action needs to know of the container it acts on."""

    pod_ip: str
    ports: dict[str, int]
    env: dict[str, str]
    workdir: Path
    rewrite: Callable[[str], str]
    http: aiohttp.ClientSession


async def act(action: Object, where: ActionContext, limit: float) -> str:
    """Carry out an exec, httpGet or tcpSocket action; "" on success, else what went wrong. ``limit``: seconds."""
    if "exec" in action:
        argv = [where.rewrite(text) for text in action["exec"]["command"]]
        code, output = await run_beside(argv, where.env, where.workdir, limit)
        return "" if code == 0 else output or f"command exited with {code}"
    if "tcpSocket" in action:
        return await _connect(where.pod_ip, _port(action["tcpSocket"]["port"], where), limit)
    return await _get(action["httpGet"], where, limit)


def _port(port: int | str, where: ActionContext) -> int:
    return where.ports[port] if isinstance(port, str) else port


async def _connect(host: str, port: int, limit: float) -> str:
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"dial tcp {host}:{port}: i/o timeout"
    except OSError as error:
        return f"dial tcp {host}:{port}: {error.strerror or error}"
    writer.close()
    return ""


async def _get(action: Object, where: ActionContext, limit: float) -> str:
    port = _port(action["port"], where)
    path = action.get("path", "/")
    url = f"http://{where.pod_ip}:{port}/{path.removeprefix('/')}"
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders", [])}
    timeout = aiohttp.ClientTimeout(total=limit)
    try:
        async with where.http.get(url, headers=headers, allow_redirects=False, timeout=timeout) as answer:
            return "" if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"
    except TimeoutError:
        return f'Get "{url}": context deadline exceeded'
    except (aiohttp.ClientError, OSError) as error:
        return f'Get "{url}": {error}'


class Probes:
    """Runs a container's probes and tells what follows from them.

    ``changed(started, ready)`` is called when either changes, ``unhealthy(type, message)`` on each failed attempt,
    ``failed(type)`` once the failure threshold of the startup or liveness probe is reached.
    """

    def __init__(
        self,
        container: Object,
        where: ActionContext,
        changed: Callable[[bool, bool], None],
        unhealthy: Callable[[str, str], None],
        failed: Callable[[str], Awaitable[None]],
    ) -> None:
        self.container = container
        self.where = where
        self.changed = changed
        self.unhealthy = unhealthy
        self.failed = failed

    async def run(self) -> None:
        """Probe until cancelled."""
        if "startupProbe" in self.container:
            self.changed(False, False)
            if not await self._startup(self.container["startupProbe"]):
                return
        ready = "readinessProbe" not in self.container
        self.changed(True, ready)
        async with asyncio.TaskGroup() as group:
            if "livenessProbe" in self.container:
                group.create_task(self._liveness(self.container["livenessProbe"]))
            if not ready:
                group.create_task(self._readiness(self.container["readinessProbe"]))

    async def _attempt(self, name: str, probe: Object) -> bool:
        text = await act(probe, self.where, probe["timeoutSeconds"])
        if text:
            self.unhealthy(name, text)
        return not text

    async def _startup(self, probe: Object) -> bool:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while True:
            if await self._attempt("Startup", probe):
                return True
            failures += 1
            if failures >= probe["failureThreshold"]:
                await self.failed("startup")
                return False
            await asyncio.sleep(probe["periodSeconds"])

    async def _liveness(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while True:
            failures = 0 if await self._attempt("Liveness", probe) else failures + 1
            if failures >= probe["failureThreshold"]:
                await self.failed("liveness")
                return
            await asyncio.sleep(probe["periodSeconds"])

    async def _readiness(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        ready, streak = False, 0
        while True:
            if await self._attempt("Readiness", probe) == ready:
                streak = 0
            else:
                streak += 1
                if streak >= probe["failureThreshold" if ready else "successThreshold"]:
                    ready, streak = not ready, 0
                    self.changed(True, ready)
            await asyncio.sleep(probe["periodSeconds"])
