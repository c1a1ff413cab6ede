"""What Triton serves imports little; its modules, and those of the benchmarks, import in one direction.

import-linter holds the arrows of the rest. It cannot say "nothing but", and model.py is a module of no package.
"""

from __future__ import annotations

import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.contracts.sources import MODELS, ROOT, SHARED, imported

# numpy, inference engines, image decoders, MLflow by client or HTTP, Triton's utils; no torch, Airflow or Ultralytics.
ALLOWED = {
    *("numpy", "onnxruntime", "openvino", "cv2", "PIL", "simplejpeg"),
    *("requests", "mlflow", "triton_python_backend_utils"),
}
ROOTS = [file.parent for file in sorted(MODELS.glob("*/1/model.py"))]


def modules(root: Path, folder: str = ".") -> dict[str, Path]:
    """The modules of a folder by the names that they are imported by, where `root` is on the path."""
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for file in (root / folder).rglob("*.py")
    }


def assembled(root: Path) -> dict[str, Path]:
    """The modules of a template as Triton has them: its own, and those that all share beside them."""
    return modules(SHARED) | modules(root)


def packages(file: Path) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.split(".")[0] for name in imported(file)}


def arrows(own: dict[str, Path]) -> dict[str, set[str]]:
    """For each module those of the same folder that it imports."""
    return {name: set(imported(file)) & own.keys() for name, file in own.items()}


def test_there_are_models_to_check() -> None:
    assert [root.parent.name for root in ROOTS] == ["classifier", "yolo"]
    assert all(len(modules(root)) >= 4 for root in ROOTS) and len(modules(SHARED)) > 20


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.parent.name)
def test_no_template_hides_a_shared_module(root: Path) -> None:
    assert not modules(root).keys() & modules(SHARED).keys()


def test_what_is_shared_knows_no_task() -> None:
    """A third task is a folder, and no change of what all share."""
    tasks = {name.split(".")[0] for root in ROOTS for name in modules(root)}
    assert {"detector", "classifier", "model"} <= tasks
    assert {name for name, file in modules(SHARED).items() if packages(file) & tasks} == set()


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.parent.name)
def test_a_model_imports_nothing_but_what_its_image_is_allowed(root: Path) -> None:
    own = assembled(root)
    used = set().union(*(packages(file) for file in own.values()))
    assert used - {name.split(".")[0] for name in own} - set(sys.stdlib_module_names) <= ALLOWED


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.parent.name)
def test_no_modules_import_each_other_in_a_circle(root: Path) -> None:
    TopologicalSorter(arrows(assembled(root))).prepare()  # raises CycleError, which names the circle


def test_no_modules_of_the_benchmarks_import_each_other_in_a_circle() -> None:
    graph = arrows(modules(ROOT, "benchmarks"))
    assert {"benchmarks.serving.plot", "benchmarks.serving.report"} <= graph.keys()
    TopologicalSorter(graph).prepare()


def test_only_the_artifact_reaches_for_mlflow() -> None:
    """What caches, chooses and runs a version needs its record, not the registry that it came from."""
    own = modules(SHARED)
    graph = arrows(own)
    assert {name for name, targets in graph.items() if "model_server.registry" in targets} == {"model_server.artifact"}
    users = {name for name, targets in graph.items() if "model_server.artifact" in targets}
    assert users == {"model_server.served", "model_server.labels"}
    assert {name for name, file in own.items() if "mlflow" in packages(file)} == {"model_server.registry"}
    assert {name for name, file in own.items() if "requests" in packages(file)} == {"model_server.rest"}


@pytest.mark.parametrize("root", [SHARED, *ROOTS], ids=lambda root: root.parent.name)
def test_the_readme_explains_every_module(root: Path) -> None:
    readme = (MODELS / "README.md").read_text(encoding="utf-8")
    inside = {name.split(".")[1] for name in modules(root) if "." in name}
    assert inside and {name for name in inside if f"`{name}`" not in readme} == set()
