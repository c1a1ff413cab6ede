"""The sandbox is a lodger: without its folder everything but the demo works, and it imports nothing of the rest."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.tests.support import ROOT

# Where Python looks for each of the parts that run in `dev`, and the top-level packages found there.
PATHS = ("plugins", "clients/python", ".")
PACKAGES = ("lifecycle", "yolo_client", "cluster", "tools")
# What runs in images, or beside a server and a network in training: `dev` lacks what it imports.
ELSEWHERE = ("docker", "model_repository", "examples", "charts", "benchmarks")
# Each package imports only those before it (and itself); `application` and `appset` know nothing of each other.
LAYERS = {
    "sandbox.kube": {"objects": 0, "node": 1, "controllers": 2, "http": 3},
    "sandbox.argocd": {"cluster": 0, "render": 1, "application": 2, "appset": 2},
}
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):  # a program: importing it is running it
            importlib.import_module(module.name)
"""
RENDER_ALL = """
import pathlib, sys, helm_python, yaml
for file in sorted(pathlib.Path("charts").glob("*/Chart.yaml")):
    examples = sorted((file.parent / "ci").glob("*.yaml")) or [file.parent / "values.yaml"]
    for values in examples:
        with helm_python.Chart.load(file.parent) as chart:
            rendered = chart.render(yaml.safe_load(values.read_text()), name="app", namespace="staging")
        print(file.parent.name, values.name, sum(bool(text.strip()) for text in rendered.values()))
"""
LOAD_DAGS = """
import airflow.dag_processing.dagbag as dagbag
bag = dagbag.DagBag("dags")
print(bag.import_errors, sorted(bag.dags))
"""


def tracked() -> list[str]:
    """The repository's files, new ones that nobody has committed yet too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it; relative ones are its own package's."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository without sandbox/."""
    house = tmp_path_factory.mktemp("house")
    for name in tracked():
        if not name.startswith("sandbox/"):
            target = house / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
    return house


def in_house(house: Path, *command: str) -> str:
    """Run a program there, with the folders on Python's path that the repository puts there; its output."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "LIFECYCLE_"))}
    variables |= {
        "PYTHONPATH": ":".join(str(house / path) for path in PATHS),
        "AIRFLOW_HOME": str(house / ".airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(house / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(house / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(command, cwd=house, env=variables, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_only_tests_import_the_sandbox() -> None:
    importing = {
        name
        for name in tracked()
        if name.endswith(".py") and not name.startswith(("sandbox/", "tests/"))
        for module in imported(ROOT / name)
        if module.split(".")[0] == "sandbox"
    }
    assert importing == set()


def test_the_sandbox_imports_nothing_of_the_rest() -> None:
    rest = {name.split("/")[0].removesuffix(".py") for name in tracked()} | set(PACKAGES) | {"trainer"}
    rest.remove("sandbox")
    found = {
        (name, module)
        for name in tracked()
        if name.startswith("sandbox/") and name.endswith(".py")
        for module in imported(ROOT / name)
        if module.split(".")[0] in rest
    }
    assert found == set()


@pytest.mark.parametrize("program", LAYERS)
def test_its_packages_import_each_other_in_one_direction(program: str) -> None:
    layers, upwards = LAYERS[program], set()
    for name, layer in layers.items():
        for file in (ROOT / program.replace(".", "/") / name).rglob("*.py"):
            for module in imported(file):
                other = module.removeprefix(f"{program}.").split(".")[0]
                if module.startswith(f"{program}.") and other != name and layers.get(other, -1) >= layer:
                    upwards.add((file.relative_to(ROOT).as_posix(), module))
    assert upwards == set()


def test_every_module_of_the_airflow_side_and_the_tools_is_imported(house: Path) -> None:
    names = [name for name in PACKAGES if any((house / path / name).is_dir() for path in PATHS)]
    assert {"lifecycle", "cluster", "tools"} <= set(names)
    in_house(house, sys.executable, "-c", IMPORT_ALL, *names)


def test_what_runs_elsewhere_compiles(house: Path) -> None:
    cache = f"pycache_prefix={house / '.pycache'}"
    in_house(house, sys.executable, "-X", cache, "-m", "compileall", "-q", *ELSEWHERE)


def test_every_chart_renders(house: Path) -> None:
    lines = in_house(house, sys.executable, "-c", RENDER_ALL).splitlines()
    assert {line.split()[0] for line in lines} == {file.parent.name for file in ROOT.glob("charts/*/Chart.yaml")}
    assert all(int(line.split()[2]) > 0 for line in lines), lines


def test_the_dags_have_no_import_errors(house: Path) -> None:
    errors, _, names = in_house(house, sys.executable, "-c", LOAD_DAGS).strip().splitlines()[-1].partition("} ")
    assert errors == "{" and "digits" in names


def test_make_says_what_there_is(house: Path) -> None:
    assert "make test" in in_house(house, "make", "help")
