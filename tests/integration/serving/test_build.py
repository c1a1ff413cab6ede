"""tools/tritonserver/build.py: the server starts, nothing is done twice, and what is missing is named."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.paths import TRITON_VENV
from tests.support.triton import BUILD

pytestmark = pytest.mark.xdist_group("loading")


def build(environment: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Runs the script."""
    command = [sys.executable, str(BUILD), "--venv", str(environment), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_wrapper_is_the_server_whatever_the_working_directory(triton_executable: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(triton_executable), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "--model-repository" in done.stdout + done.stderr


def test_again_it_changes_nothing(tmp_path: Path) -> None:
    assert build(TRITON_VENV, tmp_path / "image").returncode == 0
    files = [path for path in (tmp_path / "image").rglob("*") if path.is_file()]
    before = {path: path.stat().st_ino for path in files}
    (tmp_path / "image" / "backends" / "python" / "triton_python_backend_stub").unlink()
    assert build(TRITON_VENV, tmp_path / "image").returncode == 0
    after = {path: path.stat().st_ino for path in files}
    changed = [path.name for path in files if before[path] != after[path]]
    assert changed in ([], ["triton_python_backend_stub"]), "only what is missing is put there"


def test_no_environment(tmp_path: Path) -> None:
    done = build(tmp_path / "nothing", tmp_path / "image")
    assert done.returncode == 1
    assert done.stderr.startswith(f"ERROR: no Python in {tmp_path / 'nothing'}") and done.stderr.count("\n") == 1


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An environment without packages."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    return tmp_path / "bare"


def test_no_wheel(bare: Path, tmp_path: Path) -> None:
    done = build(bare, tmp_path / "image")
    assert done.returncode == 1
    assert "no nvidia-pytriton in" in done.stderr and done.stderr.count("\n") == 1


def test_no_stub_for_this_python(bare: Path, tmp_path: Path) -> None:
    (packages,) = bare.glob("lib/python3.*/site-packages")
    server = packages / "pytriton" / "tritonserver"
    for folder in ("bin", "python_backend_stubs/3.8"):
        (server / folder).mkdir(parents=True)
    (server / "bin" / "tritonserver").write_text("")
    done = build(bare, tmp_path / "image")
    assert done.returncode == 1
    assert "has no Python backend for Python 3." in done.stderr and "(it has 3.8)" in done.stderr
