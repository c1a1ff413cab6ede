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

# As pytest-xdist's worker: killed before it can end its server, which has a session of its own, heeds no SIGTERM, and
# has a child whose environment is empty.
KILLED = """
import os, signal, subprocess, sys, pathlib
code = '''
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={})
print(child.pid, flush=True)
time.sleep(600)
'''
server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(f"{server.pid} {server.stdout.readline()}")
os.kill(os.getpid(), signal.SIGKILL)
"""
LEAVES = """
import os, sys
from pathlib import Path
from tools import leftovers
from tools.programs import Programs
leftovers.GRACE, leftovers.PATIENCE = float(sys.argv[3]), 1
programs = Programs()
programs.call([sys.executable, sys.argv[1], sys.argv[2]], Path.cwd(), os.environ, None)
sys.exit(3 if programs.end_what_is_left() else 0)
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


def test_what_a_killed_program_leaves_behind_is_ended_and_named_and_nothing_else_is(tmp_path: Path) -> None:
    program, started = tmp_path / "program.py", tmp_path / "server"
    program.write_text(KILLED)
    command = [sys.executable, "-c", LEAVES, str(program), str(started), "0.5"]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    assert done.returncode == 3, done.stderr
    for pid in map(int, started.read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert f"ended, for it was left behind: process {pid}, {sys.executable} -c" in done.stderr


def test_what_ends_by_itself_is_no_fault_of_the_tests(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import subprocess\nsubprocess.Popen(['sleep', '0.5'], start_new_session=True)\n")
    command = [sys.executable, "-c", LEAVES, str(program), "", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
