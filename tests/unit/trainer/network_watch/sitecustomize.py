"""Python imports this at the start of every process whose PYTHONPATH has this folder: it watches whom they ask.

Each request that would leave the machine is refused and becomes a line in the file ``NETWORK_REPORT``, as does each
program that is started and cannot be watched. Other Python processes are watched in turn.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import PurePath
from typing import Any

# The position of the address in what Python tells of an event; names are asked for over the network, too.
ADDRESSES = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}
NAMES = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
PROGRAMS = {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}
# Lists the machine's libraries: torch's CUDA build looks for one with it.
LOCAL_PROGRAMS = {"ldconfig"}


def _stays_here(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_watched(arguments: tuple[Any, ...]) -> bool:
    """Whether a program of ``subprocess.Popen`` (executable, argv, folder, environment) reads this file, too."""
    program, argv, _, environment = arguments
    named = [os.fsdecode(word) for word in argv] if isinstance(argv, (list, tuple)) else []
    alone = {"-I", "-E", "-S"} & set(named)
    inherits = environment is None or "NETWORK_REPORT" in environment
    return PurePath(os.fsdecode(program)).name.startswith("python") and inherits and not alone


def _asked(event: str, arguments: tuple[Any, ...]) -> str:
    """What is to be reported of an event; empty: nothing."""
    if event in ADDRESSES:
        address = arguments[ADDRESSES[event]]
        # An address of a Unix socket is a path, and one that was connected to before is None.
        return str(address[0]) if isinstance(address, tuple) and not _stays_here(address[0]) else ""
    if event in NAMES:
        return "" if _stays_here(arguments[0]) else str(arguments[0])
    if event in PROGRAMS:
        program = PurePath(os.fsdecode(arguments[0]).split()[0]).name  # os.system has a whole command line
        if program in LOCAL_PROGRAMS or (event == "subprocess.Popen" and _is_watched(arguments)):
            return ""
        return program
    return ""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if asked := _asked(event, arguments):
        file = os.open(os.environ["NETWORK_REPORT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{event} {asked}\n".encode())
        os.close(file)
        raise PermissionError(f"A test allows no {event} {asked}.")


sys.addaudithook(_watch)
