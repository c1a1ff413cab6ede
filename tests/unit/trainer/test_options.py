"""Options, architectures and hyperparameters that are wrong are refused before any work, with exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trainer.errors import InputError
from trainer.settings import read_settings
from trainer.tasks import find
from trainer.tasks.detect.architecture import check_architecture
from trainer.training.arguments import check_hyperparameters
from trainer.weights.reference import Kind, starting_weights

TRAINER = Path(__file__).resolve().parents[3] / "docker" / "trainer"
FORMS = find("detect").forms


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
        ("--device=gpu", "give auto"),
        ("--device=0,,1", "give auto"),
        ("--device=0,0", "give auto"),
        ("--gpus=-1", "--gpus is -1"),
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


@pytest.mark.parametrize("device", ["auto", "cpu", "0", "0,1,2,3"])
def test_devices(device: str) -> None:
    assert read_settings(["train", "--dataset=digits", f"--device={device}"]).device == device


def test_a_pod_that_asks_for_gpus_does_not_train_on_the_cpu_by_option() -> None:
    with pytest.raises(InputError, match=r"asks for 2 GPU\(s\), and --device is cpu"):
        read_settings(["prepare", "--dataset=digits", "--device=cpu", "--gpus=2"])


@pytest.mark.parametrize("option", ["--device=0,1,2,3", "--gpus=4"])
def test_each_gpu_needs_an_image_of_the_batch(option: str) -> None:
    with pytest.raises(InputError, match="--batch is 3, too few images for 4 GPUs"):
        read_settings(["prepare", "--dataset=digits", "--batch=3", option])


@pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo11x.yaml", "yolov8s.yaml", "yolo26n.yaml"])
def test_known_detectors_are_accepted(model: str, tmp_path: Path) -> None:
    check_architecture(model, 640, tmp_path)
    assert starting_weights(model, {}, tmp_path, FORMS) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yolo111n.yaml", "is unknown.*Did you mean"),
        ("yolo11n-seg.yaml", "ends in Segment: it is not a plain detector"),
        ("yolo11n-cls.yaml", "ends in Classify"),
    ],
)
def test_other_architectures_are_refused(model: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        check_architecture(model, 640, tmp_path)


@pytest.mark.parametrize("model", ["yolo26n.yaml", "yolov10n.yaml"])
def test_an_end_to_end_architecture_needs_room_for_its_boxes(model: str, tmp_path: Path) -> None:
    check_architecture(model, 128, tmp_path)
    with pytest.raises(InputError, match="Set --image-size to 128 or more"):
        check_architecture(model, 96, tmp_path)
    check_architecture("yolo11n.yaml", 96, tmp_path)


@pytest.mark.parametrize("relative", [True, False])
def test_an_architecture_of_ones_own_is_accepted(relative: bool, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("nc: 2\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[[0], 1, Detect, [nc]]]\n")
    model = file.name if relative else str(file)
    check_architecture(model, 640, tmp_path)
    file.write_text("nc: 2\n")
    with pytest.raises(InputError, match="is not an Ultralytics model file"):
        check_architecture(model, 640, tmp_path)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("yolo11n.pt", Kind.PUBLISHED),
        ("https://host/a/best.pt?signature=secret", Kind.REMOTE),
        ("s3://bucket/a/best.pt", Kind.REMOTE),
        ("models:/digits/3", Kind.REGISTERED),
        ("models:/digits@champion", Kind.REGISTERED),
        ("old/best.pt", Kind.FILE),
        ("best.pt", Kind.FILE),
    ],
)
def test_kinds_of_weights_are_told_apart(model: str, kind: Kind, tmp_path: Path) -> None:
    for file in ("old/best.pt", "best.pt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    reference = starting_weights(model, {}, tmp_path, FORMS)
    assert reference is not None and reference.kind is kind
    assert "secret" not in reference.shown


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/best.pt", "no such file in the pod"),
        ("yolo11n", "neither an architecture"),
        ("gs://bucket/best.pt", "neither an architecture"),
        ("https://host/best.onnx?signature=secret", r"best\.onnx' is neither"),
        ("models:/digits/latest", "with a number"),
        ("models:/digits", "with a number"),
        ("models:/digits/0", "with a number"),
    ],
)
def test_other_weights_are_refused(model: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        starting_weights(model, {}, tmp_path, FORMS)
    assert "secret" not in str(caught.value)


def test_an_architecture_of_ones_own_takes_what_fits_of_other_weights(tmp_path: Path) -> None:
    reference = starting_weights("yolo11n.yaml", {"pretrained": "s3://bucket/best.pt"}, tmp_path, FORMS)
    assert reference is not None and reference.kind is Kind.REMOTE
    with pytest.raises(InputError, match="Give one of them"):
        starting_weights("yolo11n.pt", {"pretrained": "s3://bucket/best.pt"}, tmp_path, FORMS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0.1}, "has 'learning_rate', which is not a train argument"),
        ({"mosiac": 0}, "Did you mean mosaic"),
        ({"epochs": 3}, "option of its own: --epochs"),
        ({"resume": True}, "sets 'resume', which the trainer sets itself"),
        ({"cache": "disk"}, "cache to disk, which writes into the workspace's copy"),
    ],
)
def test_wrong_hyperparameters_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_hyperparameters(values)


def test_known_hyperparameters_are_accepted() -> None:
    check_hyperparameters({"optimizer": "AdamW", "lr0": 0.003, "cos_lr": True, "mosaic": 0, "plots": False})
