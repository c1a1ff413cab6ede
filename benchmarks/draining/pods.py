"""A model server as a pod has it, without and with the proxy, and the end of it as the kubelet brings it about."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.draining.proxies import Proxy
from benchmarks.draining.timing import Timing
from benchmarks.serving.processes import BenchmarkError

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
START_SECONDS = 60.0


@dataclass
class Pod:
    """Triton with the model `version`, and a proxy in front of it where one is given.

    Attributes:
        version: what it answers with.
        address: in 127.0.0.0/8; its ports are those of the chart.
        codes: exit codes of the two, once they have ended.
    """

    version: int
    address: str
    triton: Path
    proxy: Proxy | None
    work: Path
    timing: Timing = field(default_factory=Timing)
    codes: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Starts both, without waiting."""
        self.work.mkdir(parents=True)
        models = self.work / "models"
        shutil.copytree(HERE / "model", models / "version")
        with (models / "version" / "config.pbtxt").open("a", encoding="utf-8") as config:
            config.write(f'parameters {{ key: "version" value {{ string_value: "{self.version}" }} }}\n')
        http, grpc = (18000, 18001) if self.proxy else (8000, 8001)
        command = [str(self.triton), f"--model-repository={models}", "--disable-auto-complete-config"]
        command += [f"--exit-timeout-secs={self.timing.exit_timeout}", "--allow-metrics=false"]
        command += [f"--http-address={self.address}", f"--http-port={http}"]
        command += [f"--grpc-address={self.address}", f"--grpc-port={grpc}"]
        if not self.proxy:  # as the chart does
            command += [f"--grpc-max-connection-age={self.timing.drain * 500}"]
            command += [f"--grpc-max-connection-age-grace={self.timing.exit_timeout * 1000}"]
        self._server = self._run("triton", command, {})
        if self.proxy:
            variables = self.proxy.variables(self.address, self.timing)
            self._proxy = self._run("proxy", self.proxy.command(self.address, self.work, self.timing), variables)

    def _run(self, name: str, command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.work / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=os.environ | dict(variables)
            )

    def wait_ready(self) -> None:
        """Waits until the model answers by the pod's own port.

        Raises:
            BenchmarkError: it does not.
        """
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{self.address}:8000/v2/models/version/ready", timeout=2):
                    pass
                socket.create_connection((self.address, 8001), timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.work.glob("*.log"))
        raise BenchmarkError(
            f"the server at {self.address} was not ready within {START_SECONDS:g} s; its logs:\n{logs}"
        )

    def delete(self) -> threading.Thread:
        """What the kubelet does with a deleted pod: hooks and stop signals; ends when both processes have."""
        thread = threading.Thread(target=self._end, daemon=True)
        thread.start()
        return thread

    def _end(self) -> None:
        if self.proxy:
            self.proxy.delete(self._proxy, self.address, self.timing)
        time.sleep(self.timing.drain + (self.timing.margin if self.proxy else 0))
        self._server.send_signal(signal.SIGTERM)
        self.codes["triton"] = self._server.wait(self.timing.exit_timeout + 20)
        if self.proxy:
            self.codes["proxy"] = self._proxy.wait(self.timing.exit_timeout + 20)

    @property
    def proxy_pid(self) -> int:
        """Of the proxy."""
        return self._proxy.pid

    def kill(self) -> None:
        """Ends whatever is left."""
        for process in (self._server, *([self._proxy] if self.proxy else [])):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Service:
    """The switch, as a process of its own; see switch.py."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.draining.switch", str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def to(self, protocol: str, pod: Pod) -> None:
        """New connections go to this pod."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{pod.address} {8000 if protocol == 'HTTP' else 8001}\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
