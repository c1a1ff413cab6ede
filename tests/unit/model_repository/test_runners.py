"""The engines behind the model: they do nothing but compute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino", reason="only the Triton image has OpenVINO")

from tiny_onnx import tiny_detector

SHARED = Path(__file__).resolve().parents[3] / "model_repository" / "shared"

# Prints what the import does beside importing: every process it starts and every address it asks for.
WATCHED_IMPORT = """
import sys
WATCHED = ("socket.connect", "socket.getaddrinfo", "os.fork", "os.posix_spawn", "subprocess.Popen")
sys.addaudithook(lambda event, arguments: print(event, arguments) if event in WATCHED else None)
from model_server.runners import import_openvino
import_openvino().Core()
print("imported")
"""


def test_openvino_starts_no_process_and_asks_nobody(tmp_path: Path) -> None:
    variables = os.environ | {"PYTHONPATH": str(SHARED), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED_IMPORT], env=variables, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "imported\n"
    assert list(tmp_path.iterdir()) == []


OPENED = """
import sys
from model_server.runners import open_session
print(open_session(sys.stdin.buffer.read(), 1, metadata_only=False).get_providers())
"""


def test_onnx_runtime_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """Its telemetry, which cannot be watched from Python, first writes a device's id there."""
    variables = os.environ | {"PYTHONPATH": str(SHARED), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OPENED],
        env=variables,
        input=tiny_detector(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == b"['CPUExecutionProvider']\n"
    assert list(tmp_path.iterdir()) == []
