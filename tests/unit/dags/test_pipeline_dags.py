"""From a pipeline's file to its DAG, as Airflow's DAG processor makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.serialization.serialized_objects import DagSerialization
from lifecycle import pipelines
from lifecycle.errors import BadParameter
from lifecycle.run_params import run_params

from tests.support.paths import ROOT
from tests.support.pipelines import ENTRY, letters, write
from tests.unit.dags.conftest import Load

PIPELINES = ROOT / "dags" / "pipelines"
FILES = sorted(PIPELINES.glob("*.yaml"))
PODS = ("prepare", "train", "evaluate")


@pytest.fixture
def made(load: Load, tmp_path: Path) -> Any:
    """The DAG of a file with these changes, under these settings."""

    def make(settings: dict[str, str] | None = None, **changes: Any) -> Any:
        write(tmp_path / "pipelines", "letters", letters(**changes))
        return load(tmp_path / "pipelines", **(settings or {}))["letters"]

    return make


def test_every_file_has_an_entry_and_every_entry_a_file() -> None:
    assert [file.stem for file in FILES] == sorted(entry.stem for entry in PIPELINES.glob("*.py"))
    assert {path.suffix for path in PIPELINES.iterdir() if path.is_file()} == {".yaml", ".py", ".json"}
    for entry in PIPELINES.glob("*.py"):
        assert entry.read_text() == ENTRY.read_text(), "entries do not differ: what a pipeline is, is in its file"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_stage_is_an_entry_of_a_values_file(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    for stage in content["stages"]:
        values = ROOT / "argocd-apps" / stage["environment"] / stage["app"] / "values.yaml"
        served = {model["name"]: model["registeredModel"] for model in yaml.safe_load(values.read_text())["models"]}
        assert served.get(stage["model"]) == content["registered_model"], values


def test_the_forms_defaults_are_the_files(made: Any) -> None:
    dag = made(train__hyperparameters={"lr0": 0.01}, gate__min_map50=0.7, run__skip_unchanged=True)
    assert dag.params.dump() == {
        "dataset": "s3://bucket/letters.zip",
        "model": "yolo11n.pt",
        "epochs": 3,
        "image_size": 160,
        "batch": 4,
        "seed": 0,
        "hyperparameters": {"lr0": 0.01},
        "device": "auto",
        "skip_unchanged": True,
        "registered_model": "letters-detector",
        "min_map50": 0.7,
        "max_regression": 0.01,
        "allow_class_change": False,
        "environment": "staging",
        "app": "detector",
        "served_model": "letters",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_run_without_airflow_has_the_same_params_and_limits(file: Path, load: Load) -> None:
    pipeline = pipelines.load(file)
    assert run_params(pipeline) == load()[file.stem].params.dump()
    assert run_params(pipeline, {"epochs": "3", "allow_class_change": "true", "dataset": "s3://b/d.zip"}) == {
        **run_params(pipeline),
        **{"epochs": 3, "allow_class_change": True, "dataset": "s3://b/d.zip"},
    }
    for wrong, said in (
        ({"epochs": "0"}, "train.epochs: input should be greater than or equal to 1"),
        ({"epochs": "many"}, "give it as JSON"),
        ({"epoch": "3"}, "epoch: no such parameter. There are: "),
        ({"allow_class_change": "1"}, "allow_class_change is true or false"),
        ({"environment": "champion"}, "cannot be an environment's name"),
    ):
        with pytest.raises(BadParameter) as refused:
            run_params(pipeline, wrong)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("stage", "setting", "proved"),
    [(None, None, False), (None, "candidate", True), ("candidate", None, True), ("after", "candidate", False)],
)
def test_the_stage_says_how_a_version_is_proved_and_else_the_setting(
    made: Any, stage: str | None, setting: str | None, proved: bool
) -> None:
    place = {"environment": "staging", "app": "detector", "model": "letters"}
    stages = [place | ({"proof": stage} if stage else {})]
    dag = made({"PROOF": setting} if setting else None, stages=stages)
    assert ("prove_candidate" in dag.task_dict) == ("discard_candidate" in dag.task_dict) == proved


def test_the_dags_page_shows_the_file(made: Any) -> None:
    assert "registered_model: letters-detector" in made().doc_md


@pytest.mark.parametrize(
    ("run", "summary", "zone"),
    [
        ({}, None, None),
        ({"schedule": "0 3 * * 0"}, "0 3 * * 0", "UTC"),
        ({"schedule": "@weekly", "timezone": "Europe/Berlin"}, "0 0 * * 0", "Europe/Berlin"),
    ],
)
def test_the_schedule_is_the_files(made: Any, run: dict[str, str], summary: str | None, zone: str | None) -> None:
    read = restored(made(run=run))
    if summary is None:
        assert not read.timetable.can_be_scheduled
    else:
        assert read.timetable.summary == summary
        assert read.timetable.serialize()["timezone"] == zone


def test_a_dataset_that_is_watched_starts_the_dag_beside_its_schedule(made: Any) -> None:
    address = "https://example.com/letters.zip"
    alone = restored(made(dataset=address, run={"on_dataset_change": "15m"}))
    both = restored(made(dataset=address, run={"on_dataset_change": "5s", "schedule": "0 3 * * 0"}))
    assert (alone.timetable.summary, both.timetable.summary) == ("Asset", "Asset or 0 3 * * 0")
    for dag, interval, settle in ((alone, 900.0, 60.0), (both, 5.0, 5.0)):
        ((_, asset),) = dag.timetable.asset_condition.iter_assets()
        assert (asset.uri, asset.extra) == ("dataset:/letters", {"dataset": address})
        (watcher,) = asset.watchers
        assert watcher.trigger["classpath"] == "lifecycle.triggers.dataset.DatasetTrigger"
        arguments = {"pipeline": "letters", "dataset": address, "interval": interval, "settle": settle}
        assert watcher.trigger["kwargs"] == arguments


def test_a_package_that_watching_needs_is_named_in_the_import_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lifecycle.errors import BadPipeline
    from lifecycle.hooks import dataset
    from lifecycle.wiring import pipeline_dag

    monkeypatch.setitem(dataset.PACKAGES, "s3", "no_such_package")
    file = write(tmp_path, "letters", letters(run__on_dataset_change="15m"))
    with pytest.raises(BadPipeline, match="needs the package no_such_package"):
        pipeline_dag(str(file.with_suffix(".py")))


def restored(dag: Any) -> Any:
    """The DAG as the scheduler has it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_pods_are_placed_by_the_file_over_the_settings(made: Any) -> None:
    settings = {"TRAINER_GPUS": "1", "TRAINER_CPU": "3", "POD_RUNTIME_CLASS": "nvidia"}
    placed = {
        "gpus": 4,
        "node_selector": {"pool": "h100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "memory_limit": "64Gi",
        "image": "registry/trainer:gpu",
        "timeout": "2h",
    }
    dag = made(settings, resources=placed)
    train = dag.get_task("train")
    assert train.container_resources.limits["nvidia.com/gpu"] == "4"
    assert (train.container_resources.requests["cpu"], train.container_resources.limits["memory"]) == ("3", "64Gi")
    assert (train.node_selector, train.runtime_class_name) == ({"pool": "h100"}, "nvidia")
    assert train.active_deadline_seconds == 7200
    assert {dag.get_task(step).image for step in PODS} == {"registry/trainer:gpu"}
    assert all("--gpus=4" in dag.get_task(step).arguments for step in PODS)


def test_trainings_wait_in_their_pool_with_a_slot_a_gpu(made: Any) -> None:
    dag = made(resources={"gpus": 2, "pool": "h100"})
    assert (dag.get_task("train").pool, dag.get_task("train").pool_slots) == ("h100", 2)
    assert {task.pool for task in dag.tasks if task.task_id != "train"} == {"default_pool"}
    common = made({"TRAINER_POOL": "gpus"})
    assert (common.get_task("train").pool, common.get_task("train").pool_slots) == ("gpus", 1)
    usual = made({"TRAINER_POOL": "default_pool", "TRAINER_GPUS": "8"}).get_task("train")
    assert (usual.pool, usual.pool_slots) == ("default_pool", 1)


def test_the_first_stage_asks_a_person_where_the_file_says_so(made: Any) -> None:
    assert not made().has_task("approve")
    assert made(stages=[{**letters()["stages"][0], "by": "approval"}]).has_task("approve")
