"""The set-up: what the platform's servers import is compiled before they start side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import environments
from tools.environments import DEMO, TESTS, VENV, Compiling, Environment


def test_what_an_environment_imports_is_compiled_and_what_it_lacks_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "VENV", tmp_path / "venv")
    python = tmp_path / "venv" / "some" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "compiled"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    compiling = Compiling()
    compiling.start(Environment("some", (), imports=("not_installed_here", "json.tool", "wave")))
    compiling.start(Environment("other", ()))
    compiling.end(whole=True)
    found = {path.name.split(".")[0] for path in (tmp_path / "compiled").rglob("*.pyc")}
    assert {"tool", "decoder", "wave"} <= found
    assert [path.name for path in (tmp_path / "venv").iterdir()] == ["some"]


@pytest.mark.parametrize("whole", [False, True], ids=["a set-up that fails", "an import that hangs"])
def test_no_process_is_left(whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "VENV", tmp_path)
    monkeypatch.setattr(environments, "LONGEST", 0.1)
    python = tmp_path / "some" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    compiling = Compiling()
    compiling.start(Environment("some", (), imports=("wave",)))
    compiling.end(whole)
    assert [each.returncode for each in compiling._running] == [-9]


@pytest.mark.parametrize("environment", [each for each in DEMO + TESTS if each.imports], ids=lambda each: each.name)
def test_every_module_that_is_compiled_is_there(environment: Environment) -> None:
    folder = VENV / environment.name
    if not folder.exists():
        pytest.skip(f"environment {environment.name} is not made for this part alone")
    [packages] = folder.glob("lib/python3.*/site-packages")
    for module in environment.imports:
        path = packages.joinpath(*module.split("."))
        assert path.is_dir() or path.with_suffix(".py").exists(), f"{module} is not in {environment.name} any more"
