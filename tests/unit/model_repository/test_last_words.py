"""Code that cannot be imported says so where Kubernetes shows it: Triton's log ends without the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3] / "model_repository"


def loaded(folder: Path, template: str, module: str, text: str) -> tuple[int, str]:
    """model.py as a pod has it, a module replaced, imported as Triton's stub does; the exit status and
    what the container says.
    """
    said = folder.parent / "termination-log"
    said.touch()
    shutil.copytree(REPOSITORY / "shared", folder)
    shutil.copytree(REPOSITORY / template / "1", folder, dirs_exist_ok=True)
    (folder / module).write_text(text)
    variables = {**os.environ, "TERMINATION_MESSAGE_PATH": str(said)}
    done = subprocess.run([sys.executable, str(folder / "model.py")], env=variables, capture_output=True, timeout=60)
    return done.returncode, said.read_text()


@pytest.mark.parametrize(
    ("template", "module", "text", "reason"),
    [
        ("yolo", "detector/task.py", "\nraise RuntimeError('no\\ngo')\n", "RuntimeError: no go (task.py, line 2)"),
        ("yolo", "detector/task.py", "def broken(:\n", "SyntaxError: invalid syntax (task.py, line 1)"),
        (
            "classifier",
            "classifier/task.py",
            "import absent",
            "ModuleNotFoundError: No module named 'absent' (task.py, line 1)",
        ),
    ],
)
def test_code_that_cannot_be_imported_says_why(
    tmp_path: Path, template: str, module: str, text: str, reason: str
) -> None:
    code, said = loaded(tmp_path / "1", template, module, text)
    assert code == 1
    assert said == (
        f"The code of model_repository/ cannot be imported: {reason}. Mend it, or go back to the commit before it."
    )
