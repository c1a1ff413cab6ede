"""`make test` ends what it started, however it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.paths import ROOT
from tests.support.processes import until

# A program that starts one of its own, as pytest starts servers, and ends it when it is interrupted.
PROGRAM = """
import subprocess, sys, pathlib
server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(server.pid))
try:
    server.wait()
finally:
    server.kill()
"""
COMMAND = """
import os, sys
from pathlib import Path
from tools.programs import Programs
programs = Programs()
call = lambda: programs.call([sys.executable, sys.argv[1], sys.argv[2]], Path.cwd(), os.environ, None)
with programs.ended_with_us():
    first = call()
    sys.exit(3 if first and call() else 0)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_told_to_stop_ends_its_programs_and_starts_no_more(number: int, tmp_path: Path) -> None:
    program, started = tmp_path / "program.py", tmp_path / "server"
    program.write_text(PROGRAM)
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(program), str(started)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        until("the server has started", lambda: started.exists() and bool(started.read_text()))
        server = psutil.Process(int(started.read_text()))
        command.send_signal(number)
        assert command.wait(60) == 3
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    finally:
        command.kill()
