"""A model's process that dies takes its server with it, to be started again; one whose model is unloaded does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.mlflow import Registered
from tests.support.triton import Triton


def processes(triton: Triton, name: str) -> list[psutil.Process]:
    """The server's descendants whose name begins so, and that live."""
    assert triton.process is not None
    every = psutil.Process(triton.process.pid).children(recursive=True)
    return [each for each in every if each.name().startswith(name) and each.status() != psutil.STATUS_ZOMBIE]


def test_a_server_whose_models_process_died_ends_and_says_why(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    said = tmp_path / "termination-log"
    said.touch()
    options = ("--exit-timeout-secs=3",)
    triton = start_triton({"toy": toy.parameters()}, {"TERMINATION_MESSAGE_PATH": str(said)}, *options)
    triton.wait_ready("toy")
    assert said.read_text() == ""
    (model,) = processes(triton, "triton_python")
    os.kill(model.pid, signal.SIGKILL)
    triton.wait_ended(60)
    assert said.read_text().startswith("toy: the process that infers has died, by a crash or because memory ran out")
    assert "toy: the process that infers has died" in triton.log


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
