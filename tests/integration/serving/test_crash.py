"""A model's process that dies takes its server with it, to be started again; one whose model is unloaded does not."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support import triton as support
from tests.support.mlflow import Registered
from tests.support.processes import running
from tests.support.triton import Triton

# Longer than any wait here: what ends the server is not its own timeout.
PATIENT = ("--exit-timeout-secs=600",)


def processes(triton: Triton, name: str) -> list[psutil.Process]:
    """The server's descendants whose name begins so, and that live."""
    assert triton.process is not None
    every = psutil.Process(triton.process.pid).children(recursive=True)
    return [each for each in every if each.name().startswith(name) and each.status() != psutil.STATUS_ZOMBIE]


def ask_until_it_ended(triton: Triton, connection: http.client.HTTPConnection) -> None:
    """A client that has kept its connection and asks on: for it Triton waits until its own timeout."""
    assert triton.process is not None
    deadline = time.monotonic() + 60
    while triton.process.poll() is None:
        assert time.monotonic() < deadline, triton.log[-2000:]
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/v2/health/ready")
            connection.getresponse().read()
        time.sleep(0.05)


def kept(triton: Triton) -> http.client.HTTPConnection:
    """A connection that has been used."""
    connection = http.client.HTTPConnection("127.0.0.1", triton.http_port, timeout=10)
    connection.request("GET", "/v2/health/ready")
    assert connection.getresponse().read() == b""
    return connection


def test_a_server_whose_models_process_died_ends_and_says_why(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    said = tmp_path / "termination-log"
    said.touch()
    triton = start_triton({"toy": toy.parameters()}, {"TERMINATION_MESSAGE_PATH": str(said)}, *PATIENT)
    triton.wait_ready("toy")
    assert said.read_text() == ""
    connection = kept(triton)
    (model,) = processes(triton, "triton_python")
    os.kill(model.pid, signal.SIGKILL)
    ask_until_it_ended(triton, connection)
    assert said.read_text().startswith("toy: the process that infers has died, by a crash or because memory ran out")
    assert "toy: the process that infers has died" in triton.log


@pytest.mark.extended
def test_a_server_that_is_its_containers_first_process_ends_too(
    start_triton: Callable[..., Triton], toy: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel keeps every deadly signal from inside of a container from that process."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("processes of their own need root: unshare --pid")
    monkeypatch.setattr(support, "running", lambda command, *more: running([*alone, *command], *more))
    triton = start_triton({"toy": toy.parameters()}, {}, *PATIENT)
    triton.wait_ready("toy")
    (server,) = processes(triton, "tritonserver")
    assert "NSpid:" in (status := Path(f"/proc/{server.pid}/status").read_text())
    assert status.partition("NSpid:")[2].split("\n")[0].split()[-1] == "1"
    connection = kept(triton)
    while sum(server.cpu_times()[:2]) < 1.2:  # as any server that has served for a while
        connection.request("GET", "/v2/health/ready")
        connection.getresponse().read()
    (model,) = processes(triton, "triton_python")
    os.kill(model.pid, signal.SIGKILL)
    ask_until_it_ended(triton, connection)


def test_a_server_whose_model_is_unloaded_continues_and_leaves_no_process(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    triton = start_triton({"toy": toy.parameters()}, {}, "--model-control-mode=explicit", "--load-model=*")
    triton.wait_ready("toy")
    assert len(processes(triton, "sh")) == 1
    assert triton.control("unload", "toy")[0] == triton.control("unload", "toy_engine")[0] == 200
    triton.wait_logged("successfully unloaded 'toy_engine'")
    assert not processes(triton, "sh")
    triton.wait_live()
    assert triton.control("load", "toy")[0] == 200
    triton.wait_ready("toy")
