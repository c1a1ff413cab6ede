"""The package works where it alone is installed: without this repository, Airflow or the plugins."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_triton import ROWS, HttpServer

CLIENT = Path(__file__).resolve().parents[1]
VENV = CLIENT.parents[1] / ".venv"

SCRIPT = """
import json, sys
import numpy as np
import yolo_client
from yolo_client import Detector, letterbox
tensor, placement = letterbox(np.zeros((20, 40, 3), np.uint8), 64)
early = sorted(name for name in ("tritonclient.http", "tritonclient.grpc") if name in sys.modules)
with Detector(sys.argv[1], "digits") as detector:
    (rows,) = detector.infer(tensor[None])
print(json.dumps({
    "file": yolo_client.__file__,
    "shape": tensor.shape,
    "rows": rows.tolist(),
    "early": early,
    "foreign": sorted({name.partition(".")[0] for name in sys.modules} & {"airflow", "lifecycle", "mlflow", "torch"}),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which nothing but this package is installed, built without network by the trainer's setuptools."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    # setuptools leaves build/ and *.egg-info beside what it builds.
    shutil.copytree(CLIENT, source / "python", ignore=shutil.ignore_patterns("__pycache__"))
    command = [str(VENV / "tools" / "bin" / "uv"), "pip", "install", "--quiet", "--offline", "--no-config"]
    command += ["--no-deps", "--no-build-isolation", "--no-cache", "--python", str(VENV / "trainer" / "bin" / "python")]
    done = subprocess.run(
        [*command, "--target", str(target), str(source / "python")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return target


def test_it_holds_the_package_and_nothing_else(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info" and path.name[0] != "."} == {
        "yolo_client"
    }
    in_source = {path.name for path in (CLIENT / "yolo_client").iterdir() if path.is_file()}
    assert {path.name for path in (installed / "yolo_client").iterdir() if path.is_file()} == in_source


def test_it_asks_a_server_without_airflow_or_the_plugins(installed: Path, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(installed), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    with HttpServer([]).running() as server:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, server.address],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["file"]).is_relative_to(installed)
    assert told["shape"] == [3, 64, 64]
    np.testing.assert_array_equal(np.array(told["rows"], np.float32), np.array(ROWS, np.float32))
    assert told["early"] == [], "each protocol brings a large library: only the one that is used"
    assert told["foreign"] == []
