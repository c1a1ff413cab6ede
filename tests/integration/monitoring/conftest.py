"""Two versions in MLflow, a server of the first under load, a Prometheus with the chart's rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.monitoring.documented import Documented
from tests.integration.monitoring.prometheus import Prometheus
from tests.integration.monitoring.watched import Release, values_for
from tests.support.mlflow import Mlflow, Registered
from tests.support.rendered import render, rule_groups


@pytest.fixture(scope="session")
def versions(mlflow_server: Mlflow, handmade: Path) -> list[Registered]:
    """Versions 1 and 2 of one registered model."""
    files = [handmade / f"limited_{number}.onnx" for number in (0, 1)]
    tags = {"class_names": '["zero", "one"]', "image_size": "160"}
    return [mlflow_server.register("watched-detector", file, **tags) for file in files]


@pytest.fixture(scope="session")
def release(
    mlflow_server: Mlflow, versions: list[Registered], triton_executable: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """Git names version 1, one pod serves it, clients ask; no run of the DAG has been seen yet."""
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        documented = stack.enter_context(Documented("staging-detector", "digits").running())
        prometheus = Prometheus(folder, rule_groups(render(values_for(versions[0]))))
        stack.enter_context(prometheus.running())
        watched = Release(prometheus, documented, triton_executable, mlflow_server, folder, stack)
        watched.start_pod("a", versions[0])
        yield watched
