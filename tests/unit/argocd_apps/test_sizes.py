"""`cluster.size`: what the platform asks for, added up from the rendered charts and the values of others' charts."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from lifecycle.settings import Settings as Lifecycle

from cluster import capacity, configure
from cluster.capacity import GIB, PLATFORM, TRAINING, quantity
from cluster.errors import SettingsError
from cluster.settings import ROOT, SETTINGS, SIZED, _sizes, load
from tests.support.settings import changed
from tests.unit.charts.conftest import overlay

SHA256 = "0" * 64
# What k3s itself asks for: coredns and metrics-server.
K3S = {"cpu": 0.2, "memory": 140 * 2.0**20}
MACHINE = {"cpu": 4.0, "memory": 15.5 * GIB}
# Jobs of the Airflow chart: one at a time, so the largest of them is counted.
JOBS = {"migrateDatabaseJob", "createUserJob"}
OURS = ("mlflow", "postgresql")


def values(size: str, chart: str) -> dict[str, Any]:
    """The values of a platform's chart, as its Application lays them over each other."""
    base: dict[str, Any] = yaml.safe_load((ROOT / "charts" / "platform" / f"{chart}.yaml").read_text())
    if size == "standard":
        return base
    return overlay(base, yaml.safe_load((ROOT / "charts" / "platform" / size / f"{chart}.yaml").read_text()))


def requested(of: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Counter[str]]]:
    """Every `requests` of a values file with the keys that lead to it; one pod of each."""
    if isinstance(of, dict):
        asked = of.get("requests")
        if isinstance(asked, dict) and "storage" not in asked:
            yield path, Counter({name: quantity(amount) for name, amount in asked.items()})
        for key, below in of.items():
            yield from requested(below, (*path, key))


def platform(size: str) -> Counter[str]:
    """All that the platform asks for."""
    found: Counter[str] = Counter()
    jobs: Counter[str] = Counter()
    for chart in SIZED:
        if chart in OURS:
            rendered = helm_python.Chart.load(str(ROOT / "charts" / chart)).render(
                values=values(size, chart), name=chart, namespace="platform"
            )
            for manifest in (each for text in rendered.values() for each in yaml.safe_load_all(text) if each):
                if manifest["kind"] in ("Deployment", "StatefulSet"):
                    found += capacity.requests(manifest["spec"]["template"]["spec"])
            continue
        for path, asked in requested(values(size, chart)):
            if JOBS & set(path):
                jobs |= asked
            else:
                found += asked
    return found + jobs


@pytest.mark.parametrize("size", ["standard", "small"])
def test_the_check_counts_what_the_platform_asks_for(size: str) -> None:
    found = platform(size)
    assert found["cpu"] == pytest.approx(PLATFORM[size]["cpu"], abs=0.01)
    assert found["memory"] == pytest.approx(PLATFORM[size]["memory"], rel=0.02)


def test_the_check_counts_a_training_as_the_dag_asks_for_it() -> None:
    asked = Lifecycle()
    assert {"cpu": quantity(asked.trainer_cpu), "memory": quantity(asked.trainer_memory)} == TRAINING


def test_the_small_size_fits_four_cores_with_a_training_and_a_rollout(tmp_path: Path) -> None:
    small = changed(load(), **_derived("small"))
    environment = (ROOT / "argocd-apps" / "staging" / "environment.yaml").read_text()
    (tmp_path / "argocd-apps").mkdir()
    file = tmp_path / "argocd-apps" / "environment.yaml"
    file.write_text(environment)
    configure.write(small, tmp_path)
    model = {"name": "digits", "registeredModel": "digits", "version": 1, "sha256": SHA256}
    given = {"models": [model], "modelRepository": {"gitSync": {"repo": "https://example.com"}}}
    rendered = helm_python.Chart.load(str(ROOT / "charts" / "triton")).render(
        values=overlay(given, yaml.safe_load(file.read_text())), name="detector", namespace="staging"
    )
    text = next(text for name, text in rendered.items() if name.endswith("server/deployment.yaml"))
    (deployment,) = (each for each in yaml.safe_load_all(text) if each)
    server = capacity.requests(deployment["spec"]["template"]["spec"])
    asked = platform("small") + server + server + Counter(TRAINING) + Counter(K3S)
    assert {name for name, amount in asked.items() if amount > MACHINE[name]} == set()
    standard = platform("standard") + server + server + Counter(TRAINING) + Counter(K3S)
    assert standard["cpu"] > MACHINE["cpu"], "else nobody needs the small size"


def test_the_small_size_takes_nothing_away() -> None:
    """Every chart with a size asks for less in the small one, of each pod that the standard one has."""
    for chart in set(SIZED) - set(OURS):
        standard, small = dict(requested(values("standard", chart))), dict(requested(values("small", chart)))
        assert set(small) == set(standard)
        more = [path for path in small if small[path]["cpu"] > standard[path]["cpu"]]
        assert more == []


def test_cluster_configure_names_the_sizes_files(tmp_path: Path) -> None:
    for folder in ("argocd-apps", "charts/platform"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    configure.write(changed(load(), **_derived("small")), tmp_path)
    for chart in SIZED:
        (path,) = (
            each
            for each in (tmp_path / "argocd-apps" / "platform").glob("*.yaml")
            if f"charts/platform/small/{chart}.yaml" in each.read_text()
        )
        helm = next(source["helm"] for source in _sources(yaml.safe_load(path.read_text())) if "helm" in source)
        named = [name.removeprefix("$values").lstrip("/") for name in helm["valueFiles"]]
        assert named == [f"charts/platform/{chart}.yaml", f"charts/platform/small/{chart}.yaml"]
        assert all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_run_waits_until_argo_cd_has_its_own_verdict(environment: str) -> None:
    """The Deployment's deadline comes first, with time for Argo CD to look at Git and to sync; startup fits into it."""
    model = {"name": "digits", "registeredModel": "digits", "version": 1, "sha256": SHA256}
    given = {"models": [model], "modelRepository": {"gitSync": {"repo": "https://example.com"}}}
    people = yaml.safe_load((ROOT / "argocd-apps" / environment / "environment.yaml").read_text())
    rendered = helm_python.Chart.load(str(ROOT / "charts" / "triton")).render(
        values=overlay(given, people), name="detector", namespace=environment
    )
    text = next(text for name, text in rendered.items() if name.endswith("server/deployment.yaml"))
    (deployment,) = (each for each in yaml.safe_load_all(text) if each)
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    deadline = deployment["spec"]["progressDeadlineSeconds"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < deadline <= Lifecycle().rollout_timeout - 240


def _derived(size: str) -> dict[str, Any]:
    return {"cluster.size": size, **_sizes(size)}


def _sources(application: dict[str, Any]) -> list[dict[str, Any]]:
    spec = application["spec"]
    return spec["sources"] if "sources" in spec else [spec["source"]]


def test_a_size_that_there_is_not_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.read_text().replace('size = "standard"', 'size = "tiny"'))
    with pytest.raises(SettingsError, match=r"cluster\.size must look like"):
        load(file)
