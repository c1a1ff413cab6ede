"""What a pipeline's file may say, and the sentence that a wrong one gets."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from lifecycle.errors import BadPipeline
from lifecycle.pipelines import load
from lifecycle.pipelines.schema import text

from tests.support.paths import ROOT
from tests.support.pipelines import letters, write

FULL = """
registered_model: letters-detector
dataset: s3://bucket/letters.zip
train: {model: yolo11n.yaml, epochs: 10, image_size: 160, batch: 16, seed: 0, hyperparameters: {lr0: 0.003}}
gate: {min_map50: 0.85, max_regression: 0.01}
run:
  schedule: "0 3 * * 0"
  timezone: Europe/Berlin
  on_dataset_change: 15m
  skip_unchanged: true
resources: {gpus: 2, node_selector: {}, tolerations: [], pool: h100, timeout: 2h}
stages:
  - {environment: staging, app: detector, model: letters, proof: candidate}
  - {environment: production, app: detector, model: letters, by: approval, soak: 30m, delivery: github}
"""


def refusal(folder: Path, content: dict[str, Any] | str, name: str = "letters") -> str:
    with pytest.raises(BadPipeline) as caught:
        load(write(folder, name, content))
    return str(caught.value)


def test_every_key_is_read(tmp_path: Path) -> None:
    read = load(write(tmp_path, "letters", FULL))
    assert (read.run.schedule, read.run.timezone, read.run.skip_unchanged) == ("0 3 * * 0", "Europe/Berlin", True)
    assert read.run.on_dataset_change == timedelta(minutes=15)
    assert (read.resources.gpus, read.resources.pool, read.resources.timeout) == (2, "h100", timedelta(hours=2))
    first, second = read.stages
    assert (first.entry, first.by, first.proof, first.soak) == ("staging/detector/letters", "auto", "candidate", None)
    assert (second.by, second.soak, second.delivery) == ("approval", timedelta(minutes=30), "github")


def test_what_is_left_out_is_cautious(tmp_path: Path) -> None:
    stages = [*letters()["stages"], {"environment": "production", "app": "detector", "model": "letters"}]
    read = load(write(tmp_path, "letters", letters(stages=stages)))
    assert [stage.by for stage in read.stages] == ["auto", "manual"]
    assert [stage.proof for stage in read.stages] == [None, None], "as LIFECYCLE_PROOF says, which is after"
    assert (read.run.schedule, read.run.on_dataset_change, read.run.skip_unchanged) == (None, None, False)
    assert read.gate.model_dump()["min_map50"] > 0


@pytest.mark.parametrize(
    ("schedule", "read"), [("@weekly", "@weekly"), ("none", None), (None, None), ("*/5 0-6 * * mon-fri",) * 2]
)
def test_a_schedule_is_cron_or_a_preset_or_none(tmp_path: Path, schedule: str | None, read: str | None) -> None:
    assert load(write(tmp_path, "letters", letters(run__schedule=schedule))).run.schedule == read


STAGE = letters()["stages"][0]
NEXT = {**STAGE, "environment": "production"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train__epochs": 0}, r"train\.epochs: .*greater than or equal to 1 \(it is 0\)"),
        ({"train__epochs": "10"}, r"train\.epochs: .*integer \(it is '10'\)"),
        ({"train__image_size": 100}, r"train\.image_size: .*multiple of 32"),
        ({"train__lr0": 0.1}, r"train\.lr0: is not a key of this file"),
        ({"gate__min_map50": 85}, r"gate\.min_map50: .*less than or equal to 1"),
        ({"gate__min_top1": 0.9}, r"gate\.min_top1 is for task: classify; of task: detect it is gate\.min_map50"),
        ({"task": "classify", "gate__min_map50": 0.9}, r"gate\.min_map50 is for task: detect; .* it is gate\.min_top1"),
        ({"task": "classify", "gate__min_top1": 95}, r"gate\.min_top1: .*less than or equal to 1"),
        ({"task": "segment"}, r"task: there are classify and detect \(it is 'segment'\)"),
        ({"task": ["classify"]}, r"task: there are classify and detect"),
        ({"registered_model": "a b"}, r"registered_model: .*pattern"),
        ({"dataset": ""}, r"dataset: .*at least 1 character"),
        ({"run__schedule": "0 25 * * *"}, r"run\.schedule: this is no cron expression"),
        ({"run__schedule": "every sunday"}, r"run\.schedule: a cron expression has five fields.*'every sunday'"),
        ({"run__schedule": "@fortnightly"}, r"run\.schedule: of presets there are @hourly"),
        ({"run__schedule": 5}, r"run\.schedule: a schedule is text"),
        ({"run__timezone": "Mars/Olympus"}, r"run\.timezone: there is no such time zone.*Mars/Olympus"),
        ({"run__on_dataset_change": 15}, r"run\.on_dataset_change: a duration is a whole number with s, m, h or d"),
        ({"dataset": "digits?images=9", "run__on_dataset_change": "15m"}, "run.on_dataset_change: .*never changes"),
        (
            {"dataset": "https://b/a.zip?key=s", "run__on_dataset_change": "15m"},
            "run.on_dataset_change: .*a query or cred",
        ),
        (
            {"dataset": "https://u:p@b/a.zip", "run__on_dataset_change": "15m"},
            "run.on_dataset_change: .*or credentials in",
        ),
        ({"dataset": "data/mine", "run__on_dataset_change": "15m"}, "run.on_dataset_change: a relative path"),
        (
            {"dataset": "ftp://b/a.zip", "run__on_dataset_change": "15m"},
            "run.on_dataset_change: .* the scheme ftp cannot",
        ),
        ({"resources__gpus": -1}, r"resources\.gpus: "),
        ({"resources__memory": "16 GB"}, r"resources\.memory: .*16 GB"),
        ({"stages": []}, r"stages: .*at least 1 item"),
        ({"stages": {}}, r"stages: must be a list"),
        ({"stages": [STAGE, STAGE]}, r"stages: the environment staging is in it twice \(as \[0\] and \[1\]\)"),
        ({"stages": [{**STAGE, "by": "manual"}]}, r"stages: \[0\]\.by: a run releases to the first stage"),
        ({"stages": [{**STAGE, "soak": "5m"}]}, r"stages: \[0\]\.soak: "),
        ({"stages": [STAGE, NEXT, {**NEXT, "environment": "eu", "by": "auto"}]}, r"stages: \[2\]\.by: a run does not"),
        ({"stages": [{**STAGE, "environment": "champion"}]}, r"stages: \[0\]\.environment: champion cannot be"),
        ({"stages": [{**STAGE, "environment": "v2"}]}, r"stages: \[0\]\.environment: v2 cannot be"),
        ({"stages": [{**STAGE, "by": "someone"}]}, r"stages\[0\]\.by: .*'approval'.*'someone'"),
        ({"stages": [{**STAGE, "by": "request", "delivery": "push"}]}, r"stages\[0\]: by: request needs delivery"),
        ({"stages": [{**STAGE, "environment": "../prod"}]}, r"stages\[0\]\.environment: .*pattern"),
        ({"stages": [{"environment": "staging"}]}, r"stages\[0\]\.app: is missing\n- stages\[0\]\.model: is missing"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    message = refusal(tmp_path / "pipelines", letters(**changes))
    assert message.startswith("pipelines/letters.yaml cannot be used")
    assert re.search(f"^- {said}", message, re.MULTILINE), message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n b: 2\n", "letters.yaml, line 2: not valid YAML"),
        ("dataset: a\ndataset: b\n", "letters.yaml, line 2: not valid YAML: found duplicate key"),
        ("- a\n", "must be a mapping with registered_model"),
        ("", "must be a mapping"),
        ("a: \a\n", "not valid YAML"),
    ],
)
def test_what_is_no_mapping_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["Letters", "yolo_rollback", "-a", "a" * 64])
def test_a_name_that_can_be_no_dag_is_refused(tmp_path: Path, name: str) -> None:
    assert "cannot be a pipeline's name" in refusal(tmp_path, letters(), name)


def test_an_entry_without_its_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadPipeline, match=r"gone\.yaml is missing.*remove gone\.py too"):
        load(tmp_path / "gone.yaml")


def test_two_files_that_write_one_entry_are_both_refused_by_each_others_name(tmp_path: Path) -> None:
    two = [*letters()["stages"], {"environment": "production", "app": "other", "model": "letters"}]
    write(tmp_path, "first", letters(stages=two))
    second = {**two[1], "by": "auto"}
    assert "stages: production/other/letters is written by first.yaml too" in refusal(
        tmp_path, letters(stages=[second]), "second"
    )
    with pytest.raises(BadPipeline, match=r"written by second\.yaml too"):
        load(tmp_path / "first.yaml")


def test_a_wrong_file_beside_it_does_not_stop_a_right_one(tmp_path: Path) -> None:
    write(tmp_path, "wrong", "stages: 1")
    assert load(write(tmp_path, "letters", letters())).registered_model == "letters-detector"


def test_the_schema_in_git_is_made_from_the_code_and_fits_the_files() -> None:
    folder = ROOT / "dags" / "pipelines"
    written = (folder / "schema.json").read_text(encoding="utf-8")
    assert written == text(), "run: PYTHONPATH=plugins .venv/airflow/bin/python -m lifecycle.pipelines.schema"
    schema = json.loads(written)
    for file in folder.glob("*.yaml"):
        assert file.read_text().startswith("# yaml-language-server: $schema=./schema.json\n"), file.name
        jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    jsonschema.validate(yaml.safe_load(FULL), schema)
    classifier = yaml.safe_load(FULL) | {"task": "classify"}
    with pytest.raises(jsonschema.ValidationError, match="min_map50"):
        jsonschema.validate(classifier, schema)
    jsonschema.validate(classifier | {"gate": {"min_top1": 0.9}}, schema)
    with pytest.raises(jsonschema.ValidationError, match="epoch"):
        jsonschema.validate(letters(train__epoch=1), schema)


def test_a_classifiers_file_has_the_gate_of_its_task(tmp_path: Path) -> None:
    read = load(write(tmp_path, "letters", letters(task="classify", gate__min_top1=0.95)))
    assert (read.task, read.gate.model_dump()) == ("classify", {"max_regression": 0.01, "min_top1": 0.95})
    plain = {key: value for key, value in letters(task="classify").items() if key != "gate"}
    assert load(write(tmp_path, "letters", plain)).gate.model_dump().keys() == {"max_regression", "min_top1"}


def test_the_example_of_a_classifier_can_be_used(tmp_path: Path) -> None:
    file = ROOT / "dags/examples/digits-classes.yaml"
    schema = json.loads((ROOT / "dags/pipelines/schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), schema)
    shutil.copy(file, tmp_path)
    read = load(tmp_path / file.name)
    assert (read.task, read.train.model, read.dataset) == ("classify", "resnet18", "digits?task=classify")
