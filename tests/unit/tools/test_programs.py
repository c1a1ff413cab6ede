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

# One that is killed before it can end its server, which has a session of its own and heeds no SIGTERM.
KILLED = """
import os, signal, subprocess, sys, pathlib, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
server.stdout.readline()
pathlib.Path(sys.argv[1]).write_text(str(server.pid))
os.kill(os.getpid(), signal.SIGKILL)
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


def test_what_a_killed_program_leaves_behind_is_ended_and_named(tmp_path: Path) -> None:
    program, started = tmp_path / "program.py", tmp_path / "server"
    program.write_text(KILLED)
    command = [sys.executable, "-c", f"import tools.programs as p; p.GRACE = 0.5{COMMAND}", str(program), str(started)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    pid = int(started.read_text())
    assert not psutil.pid_exists(pid)
    assert f"ended, for it was left behind: process {pid}, " in done.stderr
