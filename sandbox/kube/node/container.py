"""The life of one container in a pod: start, probes, exit, restart with back-off, stop."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import TYPE_CHECKING

from sandbox.kube import clock
from sandbox.kube.node.images import Image, ImageError
from sandbox.kube.node.logs import LogFile
from sandbox.kube.node.podstatus import ContainerState
from sandbox.kube.node.probes import ActionContext, Probes, act
from sandbox.kube.node.process import Process, StartError
from sandbox.kube.node.references import ConfigError, expand
from sandbox.kube.node.volumes import PathRewriter
from sandbox.kube.objects.store import Object

if TYPE_CHECKING:
    from sandbox.kube.node.pod import Pod

BACKOFF_STEPS = 5
BACKOFF_RESET = 600.0
RETRY = 2.0
LEAST_GRACE = 2.0
MESSAGE_BYTES = 4096
PASSED_THROUGH = ("GIT_CONFIG_GLOBAL", "SANDBOX_ID")


class Container:
    """One container of a pod, over all its restarts."""

    def __init__(self, pod: Pod, spec: Object, *, init: bool) -> None:
        self.pod = pod
        self.spec = spec
        self.init = init
        self.name: str = spec["name"]
        self.state = ContainerState(self.name, spec["image"], init)
        self.logs: list[LogFile] = []
        self.process: Process | None = None
        self._message = pod.folder / self.name / "termination-log"
        self._where: ActionContext | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def field(self) -> str:
        """The container as an event's fieldPath."""
        return f"spec.{'initContainers' if self.init else 'containers'}{{{self.name}}}"

    def event(self, type_: str, reason: str, message: str) -> None:
        """Record an event about this container."""
        self.pod.event(type_, reason, message, self.field)

    async def run(self) -> bool:
        """Run, and run again as the restart policy says. True when the last run ended with 0."""
        crashes = 0
        while not self.pod.stopping:
            began = time.monotonic()
            if not await self._start():
                return False
            code = await self._until_exit()
            if self.pod.stopping or not self._restarts(code):
                return code == 0
            crashes = 0 if time.monotonic() - began > BACKOFF_RESET else crashes + 1
            await self._back_off(crashes)
        return False

    def _restarts(self, code: int) -> bool:
        policy = self.pod.spec["restartPolicy"]
        # An init container that ended well is done, whatever the policy.
        if code == 0:
            return policy == "Always" and not self.init
        return policy != "Never"

    async def _back_off(self, crashes: int) -> None:
        self.state.last, self.state.restarts = self.state.state, self.state.restarts + 1
        # As on a cluster, the first restart comes at once; then the delay doubles.
        if crashes > 1:
            delay = self.pod.node.backoff * 2 ** min(crashes - 2, BACKOFF_STEPS)
            message = (
                f"back-off {delay:g}s restarting failed container={self.name} "
                f"pod={self.pod.name}_{self.pod.namespace}({self.pod.uid})"
            )
            self.state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self.pod.publish()
            self.event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {self.pod.name}")
            await self.pod.sleep(delay)

    async def _start(self) -> bool:
        """Bring one run up, waiting as long as its image or configuration is missing. False when it cannot be."""
        while not self.pod.stopping:
            try:
                image = self.pod.node.images.find(self.spec["image"])
                await self._launch(image)
                return True
            except ImageError as error:
                await self._image_missing(error)
            except ConfigError as error:
                self._waiting("CreateContainerConfigError", str(error))
                self.event("Warning", "Failed", f"Error: {error}")
                await self.pod.sleep(RETRY)
            except StartError as error:
                self._log().close()
                self._not_started(str(error))
                return True
        return False

    async def _image_missing(self, error: ImageError) -> None:
        reference = self.spec["image"]
        if self.state.state.get("waiting", {}).get("reason") not in ("ErrImagePull", "ImagePullBackOff"):
            self._waiting("ErrImagePull", str(error))
            self.event("Warning", "Failed", f'Failed to pull image "{reference}": {error}')
            await self.pod.sleep(0.5)
        self._waiting("ImagePullBackOff", f'Back-off pulling image "{reference}": ErrImagePull: {error}')
        self.event("Normal", "BackOff", f'Back-off pulling image "{reference}"')
        await self.pod.sleep(RETRY)

    def _waiting(self, reason: str, message: str) -> None:
        self.state.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.publish()

    def _not_started(self, message: str) -> None:
        now = clock.now()
        self.state.identity = f"sandbox://{uuid.uuid4().hex}"
        self.state.state = {
            "terminated": {
                "exitCode": 128,
                "reason": "StartError",
                "message": message,
                "startedAt": now,
                "finishedAt": now,
                "containerID": self.state.identity,
            }
        }
        self.event("Warning", "Failed", f"Error: {message}")
        self.pod.publish()

    def _log(self) -> LogFile:
        log = LogFile(self.pod.log_folder / self.name / f"{len(self.logs)}.log")
        self.logs.append(log)
        return log

    async def _launch(self, image: Image) -> None:
        variables = self.pod.environment.resolve(self.spec)
        self._message.parent.mkdir(parents=True, exist_ok=True)
        self._message.write_bytes(b"")
        mounts = self.pod.volumes.mounts(self.spec)
        rewrite = PathRewriter({**mounts, self.spec["terminationMessagePath"]: self._message})
        home, temporary = self.pod.folder / self.name / "home", self.pod.folder / self.name / "tmp"
        for folder in (home, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        env = {"HOME": str(home), "TMPDIR": str(temporary), "LANG": "C.UTF-8", "HOSTNAME": self.pod.name}
        env |= {key: os.environ[key] for key in PASSED_THROUGH if key in os.environ}
        env |= image.environment() | {key: rewrite(value) for key, value in variables.items()}
        # A container's command replaces both the command and the args of its image, as ENTRYPOINT and CMD.
        command = self.spec.get("command") or image.command
        args = self.spec.get("args") or ([] if self.spec.get("command") else image.args)
        argv = [rewrite(expand(text, variables)) for text in [*command, *args]]
        workdir = image.workdir or home
        if self.spec.get("workingDir"):
            workdir = workdir / rewrite(self.spec["workingDir"])
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports", []) if "name" in port}
        self._where = ActionContext(self.pod.address, ports, env, workdir, rewrite, self.pod.node.http)
        self._stopping = None
        self.process = await Process.start(argv, env, workdir, self._log(), image.stop_signal)
        if self.pod.stopping:
            # Deleted while the process was being made: stop() saw nothing to end.
            self.process.kill()
        self.state.identity = f"sandbox://{uuid.uuid4().hex}"
        self.state.state = {"running": {"startedAt": clock.now()}}
        probed = not self.init and any(f"{name}Probe" in self.spec for name in ("startup", "readiness"))
        self.state.started, self.state.ready = (
            not self.init and "startupProbe" not in self.spec,
            not self.init and not probed,
        )
        self.event("Normal", "Created", f"Created container: {self.name}")
        self.event("Normal", "Started", f"Started container {self.name}")
        self.pod.publish()

    async def _until_exit(self) -> int:
        if self.process is None or self._where is None:
            return self.state.exit_code or 0
        probes = Probes(self.spec, self._where, self._probed, self._unhealthy, self._probe_failed)
        probing = self.pod.node.spawn(probes.run()) if not self.init else None
        try:
            code = await self.process.wait()
        finally:
            if probing:
                probing.cancel()
                await asyncio.gather(probing, return_exceptions=True)
        started = self.state.state.get("running", {}).get("startedAt", clock.now())
        terminated: Object = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": started,
            "finishedAt": clock.now(),
            "containerID": self.state.identity,
        }
        if message := self._left_message():
            terminated["message"] = message
        elif code and self.spec["terminationMessagePolicy"] == "FallbackToLogsOnError":
            terminated["message"] = self.process.log.tail()
        self.process = None
        self.state.state, self.state.ready, self.state.started = (
            {"terminated": terminated},
            self.init and code == 0,
            False,
        )
        self.pod.publish()
        return code

    def _left_message(self) -> str:
        """What the container wrote to its terminationMessagePath."""
        try:
            with self._message.open("rb") as file:
                return file.read(MESSAGE_BYTES).decode(errors="replace")
        except OSError:  # the container may have done with it what it liked
            return ""

    def _probed(self, started: bool, ready: bool) -> None:
        if (self.state.started, self.state.ready) != (started, ready):
            self.state.started, self.state.ready = started, ready
            self.pod.publish()

    def _unhealthy(self, probe: str, message: str) -> None:
        self.event("Warning", "Unhealthy", f"{probe} probe failed: {message}")

    async def _probe_failed(self, probe: str) -> None:
        self.event("Normal", "Killing", f"Container {self.name} failed {probe} probe, will be restarted")
        # Not awaited: the stop ends the process, which cancels the probes that called this.
        self._stopping = asyncio.create_task(
            self.stop(time.monotonic() + self.pod.spec["terminationGracePeriodSeconds"])
        )

    async def stop(self, deadline: float, *, hooks: bool = True) -> None:
        """preStop, stop signal, at ``deadline`` (monotonic seconds) SIGKILL of all; ``Pod.forced`` ends waits."""
        process = self.process
        if process is None:
            return
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and hooks and self._where and deadline > time.monotonic():
            await self._pre_stop(hook, self._where, process, deadline)
        if deadline > time.monotonic() or hook:
            process.terminate()
            await self._wait_until(process, max(deadline, time.monotonic() + LEAST_GRACE) if hook else deadline)
        process.kill()
        await process.wait()

    async def _pre_stop(self, hook: Object, where: ActionContext, process: Process, deadline: float) -> None:
        action = (
            asyncio.create_task(asyncio.sleep(hook["sleep"]["seconds"], ""))
            if "sleep" in hook
            else asyncio.create_task(act(hook, where, deadline - time.monotonic()))
        )
        ended = asyncio.create_task(process.wait())
        forced = asyncio.create_task(self.pod.forced.wait())
        left = deadline - time.monotonic()
        try:
            done, _ = await asyncio.wait({action, ended, forced}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (action, ended, forced):
                task.cancel()
        if action in done and action.result():
            self.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {action.result()}")
        elif not done:
            self.event(
                "Warning", "FailedPreStopHook", f"PreStopHook did not end within the grace period of {left:.0f}s"
            )

    async def _wait_until(self, process: Process, deadline: float) -> None:
        ended = asyncio.create_task(process.wait())
        forced = asyncio.create_task(self.pod.forced.wait())
        try:
            await asyncio.wait(
                {ended, forced}, timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ended.cancel()
            forced.cancel()
