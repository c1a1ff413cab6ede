"""Options, architectures and hyperparameters that are wrong are refused before any work, with exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trainer.architecture import check_model
from trainer.errors import InputError
from trainer.settings import read_settings
from trainer.training.arguments import check_hyperparameters

TRAINER = Path(__file__).resolve().parents[3] / "docker" / "trainer"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")


def test_the_options_of_the_contract_are_read(tmp_path: Path) -> None:
    options = (
        "train --dataset=digits --model=yolo11n.yaml --epochs=3 --image-size=96 --batch=4 --seed=7 --device=cpu "
        f'--registered-model=m --live-version=12 --hyperparameters={{"lr0":0.1}} --workspace={tmp_path}'
    )
    settings = read_settings(options.split())
    assert (settings.epochs, settings.image_size, settings.batch, settings.seed) == (3, 96, 4, 7)
    assert (settings.live_version, settings.hyperparameters) == ("12", {"lr0": 0.1})
    assert settings.run_folder == tmp_path / "runs/abc"


@pytest.mark.parametrize("word", ["", "None", "null", "0"])
def test_no_live_version_may_be_said_in_several_ways(word: str) -> None:
    assert read_settings(["evaluate", "--dataset=digits", f"--live-version={word}"]).live_version == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--epochs=0", "--epochs is 0; it must be from 1"),
        ("--epochs=few", "invalid int value: 'few'"),
        ("--image-size=100", "multiple of 32"),
        ("--batch=-1", "--batch is -1"),
        ("--device=0,1", "the number of one GPU"),
        ("--hyperparameters={", "not JSON"),
        ("--hyperparameters=[1]", "must be a JSON object"),
        ("--colour=red", "unrecognized arguments: --colour=red"),
    ],
)
def test_a_wrong_option_is_refused(option: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings(["train", "--dataset=digits", option])


def test_the_address_of_mlflow_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID")
    with pytest.raises(InputError, match="MLFLOW_RUN_ID must be set"):
        read_settings(["train", "--dataset=digits"])


def test_a_wrong_option_ends_the_process_with_2_and_one_paragraph(tmp_path: Path) -> None:
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "trainer",
            "prepare",
            "--dataset=digits",
            "--model=yolo11q.yaml",
            f"--workspace={tmp_path}",
        ],
        cwd=TRAINER,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ERROR: The architecture 'yolo11q.yaml' is unknown")
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo11x.yaml", "yolov8s.yaml", "yolo26n.yaml", "yolo11n.pt"])
def test_known_detectors_are_accepted(model: str) -> None:
    check_model(model, 640)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yolo111n.yaml", "is unknown.*Did you mean"),
        ("yolo11n-seg.yaml", "ends in Segment: it is not a plain detector"),
        ("yolo11n-cls.yaml", "ends in Classify"),
        ("/nowhere/best.pt", "do not exist in the pod"),
        ("yolo11n", "neither an architecture"),
    ],
)
def test_other_models_are_refused(model: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_model(model, 640)


@pytest.mark.parametrize("model", ["yolo26n.yaml", "yolov10n.yaml"])
def test_an_end_to_end_architecture_needs_room_for_its_boxes(model: str) -> None:
    check_model(model, 128)
    with pytest.raises(InputError, match="Set --image-size to 128 or more"):
        check_model(model, 96)
    check_model("yolo11n.yaml", 96)


def test_an_architecture_of_ones_own_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("nc: 2\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[[0], 1, Detect, [nc]]]\n")
    check_model(str(file), 640)
    file.write_text("nc: 2\n")
    with pytest.raises(InputError, match="is not an Ultralytics model file"):
        check_model(str(file), 640)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0.1}, "has 'learning_rate', which is not a train argument"),
        ({"mosiac": 0}, "Did you mean mosaic"),
        ({"epochs": 3}, "option of its own: --epochs"),
        ({"resume": True}, "sets 'resume', which the trainer sets itself"),
    ],
)
def test_wrong_hyperparameters_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_hyperparameters(values)


def test_known_hyperparameters_are_accepted() -> None:
    check_hyperparameters({"optimizer": "AdamW", "lr0": 0.003, "cos_lr": True, "mosaic": 0, "fliplr": 0})
