"""Two versions in MLflow, a server of the first under load, a Prometheus with the chart's rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.monitoring.documented import Documented
from tests.integration.monitoring.prometheus import Prometheus
from tests.integration.monitoring.watched import Release, values_for
from tests.integration.serving.servers import ROOT, TRAINER_PYTHON, Mlflow, Registered
from tests.unit.monitoring.rendered import render, rule_groups


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A running MLflow."""
    with Mlflow(tmp_path_factory.mktemp("mlflow")).running() as server:
        yield server


@pytest.fixture(scope="session")
def versions(mlflow_server: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> list[Registered]:
    """Versions 1 and 2 of one registered model."""
    folder = tmp_path_factory.mktemp("detectors")
    files = [folder / "one.onnx", folder / "two.onnx"]
    script = Path(__file__).with_name("make_detector.py")
    subprocess.run([str(TRAINER_PYTHON), str(script), *map(str, files)], check=True, timeout=120)
    tags = {"class_names": '["zero", "one"]', "image_size": "160"}
    return [mlflow_server.register("digits-detector", file, **tags) for file in files]


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox's `tritonserver`."""
    out = tmp_path_factory.mktemp("triton-image")
    script = ROOT / "sandbox" / "images" / "triton" / "build.py"
    subprocess.run(
        [sys.executable, str(script), "--venv", str(ROOT / ".venv" / "triton"), "--out", str(out)], check=True
    )
    return out / "bin" / "tritonserver"


@pytest.fixture(scope="session")
def release(
    mlflow_server: Mlflow, versions: list[Registered], executable: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """Git names version 1, one pod serves it, clients ask; no run of the DAG has been seen yet."""
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        documented = stack.enter_context(Documented("staging-detector", "yolo_lifecycle").running())
        prometheus = Prometheus(folder, rule_groups(render(values_for(versions[0]))))
        stack.enter_context(prometheus.running())
        watched = Release(prometheus, documented, executable, mlflow_server, folder, stack)
        watched.start_pod("a", versions[0])
        yield watched
