"""Start the platform's servers as processes of their own, and end every one of them.

Each server gets a session of its own, so it outlives the command that started it, and the sandbox's identity in its
environment (`SANDBOX_ID`), which its children inherit: what a server leaves behind is found by it, and nothing else is
touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .config import SandboxError

IDENTITY = "SANDBOX_ID"
# Of loopback, and of nobody: no program binds to it by hand, and sandboxes take none below 127.16.
UNUSED_ADDRESS = "127.15.255.254"


def start(name: str, command: Sequence[str], log: Path, variables: Mapping[str, str], directory: Path) -> int:
    """Start a server detached from this terminal, its output in `log`; return its process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} starting {name}\n".encode())
        output.flush()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            cwd=directory,
            start_new_session=True,
        )
    return process.pid


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def started(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 if there is none. With the id, it names one process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third (state) on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def of_sandbox(identity: str, servers: Mapping[int, int]) -> list[int]:
    """Every live process of a sandbox, this one left out.

    A process belongs if it carries the identity in its environment, or is in the session of one of `servers` (process
    id to start time): Airflow's write their title over their environment.
    """
    sessions = {pid for pid, since in servers.items() if started(pid) in (0, since)}
    found = []
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        fields = _stat(pid)
        own = bool(fields) and fields[0] != "Z" and pid != os.getpid()
        if own and (int(fields[3]) in sessions or _carries(pid, identity)):
            found.append(pid)
    return found


def pods_of_sandbox(identity: str) -> set[str]:
    """The names of the pods that have a live process: a container has its pod's name as HOSTNAME, a server has none."""
    found = set()
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        variables = _environment(pid)
        if variables.get(IDENTITY) == identity and "HOSTNAME" in variables and alive(pid):
            found.add(variables["HOSTNAME"])
    return found


def _carries(pid: int, identity: str) -> bool:
    return _environment(pid).get(IDENTITY) == identity


def _environment(pid: int) -> dict[str, str]:
    """The variables that a process was started with; empty where it is gone, or another user's."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def stop(pids: Sequence[int], grace: float = 15.0) -> None:
    """End processes: SIGTERM, then after `grace` seconds SIGKILL."""
    since = {pid: started(pid) for pid in pids}
    for sign, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        left = [pid for pid in pids if alive(pid) and started(pid) == since[pid]]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while any(alive(pid) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.1)


def port_for(name: str, asked: int, option: str) -> int:
    """A port that is free now on loopback: the one asked for, or any if that is 0.

    Raises:
        SandboxError: the port asked for is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", asked))
        except OSError as error:
            raise SandboxError(
                f"Port {asked} for {name} is in use by another program: choose another one "
                f"(`make … {option}=<port>`), or let the sandbox take any free one (`make … {option}=0`)."
            ) from error
        return int(probe.getsockname()[1])


def check_pod_ports(ports: Sequence[int]) -> None:
    """Refuse to start where no pod could listen: a pod's port is its own on a cluster, but not beside 0.0.0.0 here.

    Raises:
        SandboxError: another program listens on one of the ports on every address.
    """
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((UNUSED_ADDRESS, port))
            except OSError:
                taken.append(str(port))
    if taken:
        raise SandboxError(
            f"Another program listens on port {', '.join(taken)} of every address of this machine (0.0.0.0), so the "
            "sandbox's pods with Triton cannot: stop it, or have it listen on 127.0.0.1 alone, then run again."
        )


def wait_until(what: str, ready: Callable[[], bool], pid: int | None, log: Path, seconds: float) -> None:
    """Wait for a server to answer.

    Raises:
        SandboxError: it ended or did not answer in time; the message carries the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        ended = pid is not None and not alive(pid)
        if ended or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
            how = "ended" if ended else f"did not answer within {seconds:.0f} s"
            raise SandboxError(f"{what} {how}. The end of {log}:\n{tail}\nFix the cause and run again.")
        time.sleep(0.2)
