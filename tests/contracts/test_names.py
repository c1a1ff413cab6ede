"""Names that one part writes and another one reads."""

from __future__ import annotations

import json
import re
import runpy

import pytest
from lifecycle import kinds
from lifecycle.mlflow import versions
from lifecycle.mlflow.evaluation import NOT_COMPARED
from lifecycle.model import names
from model_server.onnx_metadata import Sibling, _sibling
from model_server.settings import SOURCES
from trainer import tasks

from tests.contracts.sources import MODELS, ROOT, SERVER, TRAINER, YOLO, constant, keys_read, keys_written, literals

LIFECYCLE = ROOT / "plugins/lifecycle"
CLIENT = ROOT / "clients/python/yolo_client"
ENGINE, *PUBLIC = "yolo", "yolo_tensors", "yolo_encoded"
# An input or output of a configuration: its name, type and dims.
TENSOR = r'\{ name: "(\w+)" data_type: (\w+) dims: (\[.*?\])'
ASSEMBLE = (ROOT / "charts/triton/files/assemble.sh").read_text()


def version_tags() -> set[str]:
    """Tags that a registered version has by contract."""
    return {*versions.COPIED_TAGS, *versions.OPTIONAL_TAGS, names.RUN_ID, names.DAG_RUN_ID}


def test_the_trainer_tags_its_run_with_all_that_a_version_gets() -> None:
    copied = {*versions.COPIED_TAGS, *versions.OPTIONAL_TAGS, names.MODEL_URI}
    assert copied <= literals(TRAINER / "commands")


def test_the_server_and_the_evaluation_read_only_tags_that_a_version_has() -> None:
    served = keys_read(SERVER / "record.py", "tags")
    assert served == {"sha256", "run_id", "class_names", "image_size", "precision_drop"}
    assert served <= version_tags()
    compared = keys_read(TRAINER / "live.py", "tags")
    assert compared == {"class_names", "image_size", "task"}
    assert compared <= version_tags()


def test_a_model_registered_by_hand_has_the_tags_that_the_server_reads() -> None:
    needed = keys_read(SERVER / "record.py", "tags") - {"precision_drop"}
    assert needed <= literals(ROOT / "examples/register_onnx.py")


def test_names_that_no_tag_can_hold_are_told_in_the_same_way_by_the_trainer_and_by_hand() -> None:
    by_hand, trainer = (
        runpy.run_path(str(ROOT / file))
        for file in ("examples/register_onnx.py", "docker/trainer/trainer/class_names.py")
    )
    for count in (3, 2_000):
        class_names = [f"class {number}" for number in range(count)]
        assert by_hand["names_tag"](class_names) == (trainer["names_tag"](class_names), count == 3)


TASKS = sorted(kinds.every())


def test_both_sides_know_the_same_tasks() -> None:
    assert tasks.names() == TASKS and kinds.DEFAULT == tasks.DEFAULT
    assert names.TASK == kinds.TAG


@pytest.mark.parametrize("task", TASKS)
def test_airflow_reads_the_metrics_that_the_trainer_writes(task: str) -> None:
    command, measure = literals(TRAINER / "commands/evaluate.py"), TRAINER / f"tasks/{task}/measure.py"
    decisive, *_ = read = kinds.find(task).figures
    assert set(read) <= keys_written(measure, decisive)
    assert set(read) <= set(tasks.find(task).compared)
    assert {f"{names.CANDIDATE_SPLIT}/", f"{names.LIVE_SPLIT}/", names.VERIFICATION_IMAGES} <= command


def test_an_evaluation_without_comparison_begins_as_the_gate_expects() -> None:
    written = literals(TRAINER / "commands/evaluate.py")
    assert [text for text in written if text.startswith(NOT_COMPARED)] and names.LIVE_COMPARISON in written


def test_model_info_has_all_that_is_read_of_it() -> None:
    read = keys_read(CLIENT / "served.py", "told")
    assert len(read) >= 5
    told = keys_written(SERVER / "served.py", "code_commit") | keys_written(
        YOLO / "detector/task.py", "end_to_end_rows"
    )
    assert read <= told


def test_the_verification_images_are_read_as_they_are_written() -> None:
    reader, writer = LIFECYCLE / "kinds/detect/answers.py", TRAINER / "tasks/detect/verification.py"
    assert {"images", "confidence", "iou"} == keys_read(reader, "told") <= keys_written(writer, "class_names")
    assert {"file", "detections"} == keys_read(reader, "entry") == keys_written(writer, "detections")
    reader, writer = LIFECYCLE / "kinds/classify/answers.py", TRAINER / "tasks/classify/verification.py"
    assert {"images", "class_names"} == keys_read(reader, "told") <= keys_written(writer, "class_names")
    assert kinds.TAG in keys_written(writer, "class_names")
    assert {"file", "probabilities"} == keys_read(reader, "entry") <= keys_written(writer, "probabilities")


def test_the_server_finds_the_int8_file_that_the_trainer_notes() -> None:
    assert constant(TRAINER / "quantization.py", "NOTE") == constant(SERVER / "onnx_metadata.py", "INT8_NOTE")
    assert constant(TRAINER / "quantization.py", "FOLDER") == constant(SERVER / "registry.py", "SIBLINGS")
    values = {"file": constant(TRAINER / "quantization.py", "FILE"), "sha256": "ab" * 32, "bytes": 5}
    assert keys_written(TRAINER / "quantization.py", "sha256") == values.keys()
    assert _sibling(json.dumps(values)) == Sibling(values["file"], "ab" * 32, 5)


def test_the_model_and_the_client_read_the_parameters_that_the_chart_appends() -> None:
    appended = set(re.findall(r"^ *parameter (\w+) ", ASSEMBLE, re.MULTILINE))
    assert {SOURCES[field][0] for field in ("name", "version", "sha256")} <= appended
    promised = {text for text in literals(CLIENT / "served.py") if text in appended or text.startswith("mlflow_")}
    assert promised == appended


def test_the_server_finds_the_shapes_that_the_trainer_notes() -> None:
    note = constant(TRAINER / "tasks/detect/served_shapes.py", "NOTE")
    assert constant(SERVER / "onnx_metadata.py", "SHAPES_NOTE") == note


def test_everyone_calls_the_model_of_picture_files_the_same() -> None:
    suffix = constant(CLIENT / "calls.py", "ENCODED")
    assert constant(ROOT / "benchmarks/serving/triton.py", "ENCODED_SUFFIX") == suffix
    assert {f"${{template}}{suffix}", f"${{target}}{suffix}"} <= set(re.findall(r"\$\{\w+\}\w+", ASSEMBLE))
    assert (MODELS / f"yolo{suffix}/config.pbtxt").exists()


def test_everyone_calls_the_engine_the_same() -> None:
    suffix = constant(SERVER / "served.py", "ENGINE_SUFFIX")
    assert constant(ROOT / "benchmarks/serving/triton.py", "ENGINE_SUFFIX") == suffix
    assert f'engine="${{MODEL}}{suffix}"' in ASSEMBLE
    for name in PUBLIC:
        assert f'model_name: "{ENGINE}{suffix}"' in (MODELS / name / "config.pbtxt").read_text()


def test_the_public_names_take_what_the_engine_takes_and_give_all_that_it_gives() -> None:
    texts = [(MODELS / name / "config.pbtxt").read_text() for name in (ENGINE, *PUBLIC)]
    engine, *public = (set(re.findall(TENSOR, text)) for text in texts)
    assert set.union(*public) == engine
    assert {name for name, *_ in set.intersection(*public)} == {"detections", "num_detections", "model_info"}
