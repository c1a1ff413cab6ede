"""The first process of every container: runs the command in a session of its own and leaves nothing of it behind.

Usage: ``python -I -S shim.py <read end of the kubelet's pipe> <stop signal's number> <command> [argument]...``

It stands for what a PID namespace does on a cluster. When the main process ends, however it ends, every descendant is
killed, daemons included (PR_SET_CHILD_SUBREAPER makes them children of the shim). When the kubelet dies, the pipe
reaches its end and everything is killed. When the shim itself is killed, PR_SET_PDEATHSIG kills the main process.
On SIGTERM the main process gets its image's stop signal; SIGUSR1 kills everything. Exits with the main process' code,
or 128 + signal.
Only the standard library, since it must start in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command; returns its exit code."""
    pipe, stop_signal, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    shim = os.getpid()
    main_pid = os.fork()
    if main_pid == 0:
        _become(command, libc, shim, (pipe, wake_read, wake_write))
    code = _supervise(main_pid, stop_signal, pipe, wake_read)
    # The interpreter's own end restores the default actions: a late SIGTERM would replace the exit code.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR1))
    _kill_descendants()
    return code


def _become(command: list[str], libc: ctypes.CDLL, shim: int, fds: tuple[int, ...]) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for fd in fds:
        os.close(fd)
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != shim:
        os._exit(137)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"exec {command[0]!r}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _supervise(main_pid: int, stop_signal: int, pipe: int, wake_read: int) -> int:
    # poll, not select: the server that hands the pipe over may have thousands of descriptors open.
    poller = select.poll()
    for fd in (pipe, wake_read):
        poller.register(fd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll()]
        if pipe in ready and not os.read(pipe, 1):
            return 137
        if wake_read not in ready:
            continue
        numbers = os.read(wake_read, 512)
        if signal.SIGUSR1 in numbers:
            return 137
        if signal.SIGTERM in numbers:
            os.kill(main_pid, stop_signal)
        code = _reap(main_pid)
        if code is not None:
            return code


def _reap(main_pid: int) -> int | None:
    """Collect every dead child; the main process' code when it was among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == main_pid:
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _kill_descendants() -> None:
    """Kill until none is left: a killed process' children become ours, and are found in the next round."""
    for _ in range(2000):
        children = _children(os.getpid())
        if not children:
            return
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _reap(0)
        time.sleep(0.001)


def _children(parent: int) -> list[int]:
    """The process ids whose parent is ``parent``."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 (pathlib costs start-up time)
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 (as above)
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main())
