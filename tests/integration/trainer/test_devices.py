"""Devices: what a pod trains on, on several GPUs at once, and what the check of mixed precision needs.

No GPU is needed. That CUDA computes, and that NCCL connects, is not shown here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from colours import KEEPING, Colours
from pods import TRAINER, Pods, Server, make_pods


@pytest.fixture
def pods(server: Server, colours: Colours, tmp_path: Path) -> Pods:
    made = make_pods(
        server,
        tmp_path / "workspace",
        f"--dataset={colours.dataset}",
        f"--model={colours.expert}",
        f"--hyperparameters={json.dumps(KEEPING)}",
        "--batch=8",
        "--epochs=3",
        "--gpus=2",
    )
    made.ok("prepare")
    return made


def start_on_two(pods: Pods, *more: str, **environment: str) -> subprocess.Popen[str]:
    """`train` in a pod with two GPUs."""
    here = Path(__file__).resolve().parent
    return subprocess.Popen(
        [sys.executable, str(here / "two_gpus.py"), *pods.arguments("train", *more)],
        cwd=here,
        env=os.environ
        | pods.variables
        | environment
        | {"PYTHONPATH": f"{TRAINER}:{here}:{os.environ.get('PYTHONPATH', '')}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.extended
def test_two_processes_train_one_model_and_a_kill_in_the_middle_resumes(pods: Pods) -> None:
    process = start_on_two(pods)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 2/3"):
            break
    process.kill()
    process.communicate()  # its processes hold its output open: they have ended, too

    again = start_on_two(pods)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, out + err
    assert "Starting 2 processes" in out and "Going on from the checkpoint after epoch" in out, out + err
    assert [line.partition(" |")[0] for line in out.splitlines() if line.startswith("epoch ")][-1] == "epoch 3/3"
    assert "epoch 1/3" not in out, out
    assert [step for step, _ in pods.history("val/mAP50")] == [1, 2, 3], "each epoch once, from one process"
    assert all(value > 0.9 for _, value in pods.history("val/mAP50"))
    assert pods.artifacts("weights") == {"best.pt"} and len(pods.tags["sha256"]) == 64
    assert pods.client.get_run(pods.run_id).data.params["device"] == "auto"


@pytest.mark.extended
def test_processes_are_stopped_with_their_pod_and_one_that_fails_ends_all(pods: Pods) -> None:
    process = start_on_two(pods, "--epochs=500")
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 1/500"):
            break
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Stopped by SIGTERM" in err

    broken = start_on_two(pods, "--epochs=500", FAILING_RANK="1")
    _, err = broken.communicate(timeout=120)
    assert broken.returncode == 1
    assert "process 1 has failed" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("seen", "cuda", "option", "status", "message"),
    [
        (0, "13.0", "--gpus=1", 1, "asks for 1 GPU(s) and torch sees none"),
        (0, None, "--gpus=1", 2, "this image has torch without CUDA"),
        (1, "13.0", "--device=0,1", 2, "--device is 0,1, and torch sees 1 GPU(s)"),
    ],
)
def test_a_pod_without_its_gpus_does_not_train(
    seen: int, cuda: str | None, option: str, status: int, message: str, pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    result = pods.run("train", option)
    assert result.status == status
    assert message in result.last
    assert not (pods.workspace / "runs").exists()


@pytest.mark.parametrize(
    ("device", "seen", "chosen"),
    [("auto", 0, "cpu"), ("auto", 1, "0"), ("auto", 4, "0,1,2,3"), ("cpu", 0, "cpu"), ("2", 4, "2"), ("0,3", 4, "0,3")],
)
def test_devices_that_are_chosen(device: str, seen: int, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from trainer.devices import choose_device

    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    assert choose_device(device, 0) == chosen


@pytest.fixture
def half_precision(colours: Colours) -> Iterator[None]:
    """Mixed precision of a CPU becomes that of a GPU."""
    import torch

    before = torch.get_autocast_dtype("cpu")
    torch.set_autocast_dtype("cpu", torch.float16)
    yield
    torch.set_autocast_dtype("cpu", before)


@pytest.mark.usefixtures("half_precision")
def test_the_check_of_mixed_precision_needs_no_file_and_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arithmetic is the CPU's: rounding passes, and results of a faulty GPU do not."""
    import torch
    from trainer.training import mixed_precision

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", None)
    random = torch.random.get_rng_state()
    error = mixed_precision.mixing_error(torch.device("cpu"))
    assert 0 < error < mixed_precision.LARGEST_ERROR / 2
    assert not list(tmp_path.iterdir())
    assert torch.equal(torch.random.get_rng_state(), random), "a training is as random as without the check"

    convolve = torch.nn.functional.silu
    monkeypatch.setattr(
        torch.nn.functional,
        "silu",
        lambda *args, **kwargs: convolve(*args, **kwargs) * (float("nan") if torch.is_autocast_enabled("cpu") else 1),
    )
    assert mixed_precision.mixing_error(torch.device("cpu")) == float("inf")


def test_ultralytics_asks_the_trainers_own_check() -> None:
    """Its own would download a model into a folder that is relative to the working directory."""
    from trainer.training import mixed_precision
    from ultralytics.engine import trainer

    mixed_precision.install()
    assert trainer.check_amp is mixed_precision.can_mix
