"""`make images`: what it refuses, what it hands to a build, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.images.conftest import ROOT
from tools.images.build import attempt, chosen, health
from tools.images.catalogue import IMAGES
from tools.images.errors import ImageError
from tools.images.pip_settings import prepare
from tools.images.store import Store, execute


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `make images` runs, in an environment of its own."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-m", "tools.images", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"IMAGES": "trainr"}, "there is no image 'trainr'; there are trainer, triton, "),
        ({"VARIANT": "cuda"}, "VARIANT is 'cuda' and must be cpu or gpu"),
        ({"VARIANT": "gpu", "IMAGES": "airflow"}, "the image airflow has no variant gpu, only cpu"),
        ({"IMAGES_BASES": "mine"}, "IMAGES_BASES is 'mine' and must be local or registry"),
        ({"PATH": "/nonexistent"}, "buildah and mmdebstrap not found: run `make images-tools` as root"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(variables: dict[str, str], said: str, tmp_path: Path) -> None:
    done = make("build", IMAGES_HOME=str(tmp_path / "home"), **variables)
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_gpu_means_the_images_that_have_it() -> None:
    assert [image.name for image in chosen([], "gpu")] == ["trainer", "triton"]
    assert chosen([], "cpu") == list(IMAGES)


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with an index of its own, a password for it, a certificate, and torch as a wheel."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    (tmp_path / "ca.pem").write_text("certificate")
    return {
        "PIP_INDEX_URL": "https://me:secret@index.example.com/simple",
        "PIP_FIND_LINKS": f"{wheels} https://wheels.example.com/",
        "PIP_CERT": str(tmp_path / "ca.pem"),
    }


def sourced(secret: Path) -> dict[str, str]:
    """The variables that a build has after it read the secret as the Dockerfiles do."""
    script = f"set -a; . {secret}; set +a; env"
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_a_build_gets_the_machine_s_settings_as_a_secret_and_as_mounts(machine: dict[str, str], tmp_path: Path) -> None:
    settings = prepare(tmp_path / "own", "cpu", machine)
    variables = sourced(tmp_path / "own" / "pip.env")
    assert variables["PIP_INDEX_URL"] == variables["UV_DEFAULT_INDEX"] == machine["PIP_INDEX_URL"]
    assert variables["PIP_FIND_LINKS"] == "/run/wheels-0 https://wheels.example.com/"
    assert variables["UV_FIND_LINKS"] == "/run/wheels-0,https://wheels.example.com/"
    assert variables["PIP_CERT"] == variables["SSL_CERT_FILE"] == "/run/build/ca.pem"
    assert f"{tmp_path / 'wheels'}:/run/wheels-0:ro" in settings.arguments
    assert f"id=pip.env,src={tmp_path / 'own' / 'pip.env'}" in settings.arguments
    assert "secret" not in "".join(settings.arguments).replace("--secret", ""), (
        "a command line is there for all to read"
    )
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0
    assert settings.torch_backend == "index", "the folder has torch, so PyTorch's own index is not asked"


def test_the_gpu_variant_does_not_get_torch_without_cuda(machine: dict[str, str], tmp_path: Path) -> None:
    settings = prepare(tmp_path / "own", "gpu", machine)
    assert sourced(tmp_path / "own" / "pip.env")["PIP_FIND_LINKS"] == "https://wheels.example.com/"
    assert settings.torch_backend == ""


def test_without_settings_a_build_gets_an_empty_secret(tmp_path: Path) -> None:
    settings = prepare(tmp_path / "own", "cpu", {})
    assert settings.arguments == ("--secret", f"id=pip.env,src={tmp_path / 'own' / 'pip.env'}")
    assert (tmp_path / "own" / "pip.env").read_text() == ""


def test_a_failed_step_tells_the_end_of_its_log_and_does_not_end_the_others(tmp_path: Path) -> None:
    lines: list[str] = []
    command = ["sh", "-c", "seq 100; echo no such package >&2; exit 3"]

    def step() -> list[str]:
        return [execute(command, tmp_path / "build.log", tmp_path)]

    assert attempt("build trainer", step, lines.append) is False
    assert "build trainer    FAILED after" in lines[0]
    assert "`sh` ended with 3" in lines[0] and "no such package" in lines[0] and "\n      50\n" not in lines[0]
    assert (tmp_path / "build.log").read_text().startswith("1\n")


@pytest.mark.parametrize("sign", ["INT", "TERM"])
def test_what_was_started_ends_with_the_one_who_waits_for_it(sign: str, tmp_path: Path) -> None:
    """A build that is interrupted does not continue in the background, even if it was not yet known to run."""
    # It interrupts whoever starts it at once, which on a busy machine does not yet know its number.
    program = f"echo $$; kill -{sign} $PPID; sleep 1000 & wait"
    code = f"""
import pathlib, signal, subprocess, sys, time
from tools.images.__main__ import _terminate
from tools.images.store import execute

class Busy(subprocess.Popen):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        time.sleep(0.5)

subprocess.Popen = Busy
# Whoever runs the tests in the background of a shell has SIGINT ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, _terminate)
execute(["sh", "-c", {program!r}], pathlib.Path(sys.argv[1]), pathlib.Path("/tmp"))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "log"
    ended = subprocess.run([sys.executable, "-c", code, str(log)], env=environment, capture_output=True, timeout=60)
    assert ended.returncode != 0 and b"KeyboardInterrupt" in ended.stderr
    group = int(log.read_text())
    # What was ended counts as there until its new parent has heard of it.
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and alive(group):
        time.sleep(0.05)
    assert not alive(group)


def alive(group: int) -> bool:
    """Whether a process group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A real storage of buildah."""
    if shutil.which("buildah") is None or os.geteuid() != 0:
        pytest.skip("needs buildah and root: `make images-tools`")
    store = Store(tmp_path / "home")
    store.open()
    return store


def test_an_image_that_does_not_fit_the_charts_is_refused_and_nothing_is_left(store: Store, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /\nENV PIP_INDEX_URL=x\nLABEL a="b"\n')
    triton = next(image for image in IMAGES if image.name == "triton")
    from tools.images.build import common, tag

    store.run("build", *common(store), "--tag", tag(triton, "cpu"), str(tmp_path))
    with pytest.raises(ImageError, match=r"has no label title.*runs as user '' and not '1000:1000'.*has PIP_INDEX_URL"):
        health(store, triton, "cpu")
    store.run("from", "from", "--name", "left", tag(triton, "cpu"))
    store.run("mount", "mount", "left")
    store.close()
    assert [each for each in store.mounts() if "merged" in each] == []
    store.delete()
    assert not store.home.exists()
