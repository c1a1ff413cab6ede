"""prepare, train and evaluate, as the DAG's pods run them, against a real MLflow server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from colours import CELL, COUNTS, NAMES, SIDE
from PIL import Image
from pods import SEED, Pods, Server, make_pods

# One server and one trained model for both files, and trainings one after another: each takes all cores.
pytestmark = pytest.mark.xdist_group("trainer")

CHANNELS = 4 + len(NAMES)
SHAPES = ((1, 64, 64), (3, 96, 160))


def _anchors(height: int, width: int) -> int:
    return sum(height * width // stride**2 for stride in (8, 16, 32))


def _boxes(pods: Pods, split: str, target: Path) -> int:
    """How many squares a split has."""
    summary = json.loads(pods.download("dataset/summary.json", target).read_text())
    return int(summary["splits"][split]["boxes"])


def test_prepare_records_what_the_dataset_is(pods: Pods, tmp_path: Path) -> None:
    pods.ok("prepare")
    assert len(pods.tags["dataset_digest"]) == 64
    assert json.loads(pods.tags["class_names"]) == [str(value) for value in range(10)]
    params = pods.client.get_run(pods.run_id).data.params
    wanted = (f"digits?images=60&size=64&seed={SEED}", "48")
    assert (params["dataset"], params["dataset_train_images"]) == wanted
    assert int(params["dataset_test_boxes"]) >= 6
    assert pods.artifacts("dataset") == {"class_names.json", "summary.json", "samples.png"}
    summary = json.loads(pods.download("dataset/summary.json", tmp_path).read_text())
    assert summary["digest"] == pods.tags["dataset_digest"]
    with Image.open(pods.download("dataset/samples.png", tmp_path)) as picture:
        assert picture.size == (4 * 320, 3 * 320)


def test_prepare_logs_the_dataset_as_mlflows_input_once(pods: Pods) -> None:
    pods.ok("prepare")
    pods.ok("prepare")
    inputs = pods.client.get_run(pods.run_id).inputs.dataset_inputs
    found = {item.tags[0].value: item.dataset for item in inputs}
    assert [item.tags[0].key for item in inputs] == ["mlflow.data.context"] * 3
    assert {split: dataset.name for split, dataset in found.items()} == {
        "train": "digits/train",
        "val": "digits/val",
        "test": "digits/test",
    }
    digest = pods.tags["dataset_digest"]
    assert {dataset.digest for dataset in found.values()} == {digest[:36]}
    assert json.loads(found["train"].source) == {"uri": f"digits?images=60&size=64&seed={SEED}"}
    assert json.loads(found["train"].profile)["images"] == 48
    assert json.loads(found["train"].profile)["digest"] == digest


def test_a_command_of_a_run_that_ended_sets_it_to_running_again(pods: Pods) -> None:
    pods.client.set_terminated(pods.run_id, "FAILED")
    pods.ok("prepare")
    assert pods.client.get_run(pods.run_id).info.status == "RUNNING"


def test_train_logs_every_epoch_params_plots_and_weights(trained: Pods) -> None:
    run = trained.client.get_run(trained.run_id)
    for name in ("train/box_loss", "train/cls_loss", "val/mAP50", "val/mAP50-95", "val/precision", "val/recall"):
        assert [step for step, _ in trained.history(name)] == [1, 2], name
    assert all(seconds > 0 for _, seconds in trained.history("epoch_seconds"))
    assert run.data.metrics["epochs_total"] == 2
    assert (run.data.params["optimizer"], run.data.params["lr0"], run.data.params["epochs"]) == ("SGD", "1e-06", "2")
    assert len(run.data.params) > 60, "the defaults of what was not given, too"
    assert {"results.png", "confusion_matrix.png", "BoxPR_curve.png", "labels.jpg"} <= trained.artifacts("plots")
    assert trained.artifacts("weights") == {"best.pt"}
    assert run.info.status == "RUNNING", "ending the run is the DAG's to do"


def test_the_model_is_onnx_with_signature_and_the_contracts_tags(trained: Pods, tmp_path: Path) -> None:
    import onnxruntime

    file = trained.onnx(tmp_path)
    assert file.name == "model.onnx"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == trained.tags["sha256"]
    assert trained.tags["model_uri"].startswith("models:/m-")
    assert trained.tags["image_size"] == "64"
    assert trained.signature() == ([("images", (-1, 3, -1, -1))], [(-1, CHANNELS, -1)])
    session = onnxruntime.InferenceSession(str(file))
    for count, height, width in SHAPES:
        raw = session.run(None, {"images": np.zeros((count, 3, height, width), np.float32)})[0]
        assert raw.shape == (count, CHANNELS, _anchors(height, width))
    agreement = json.loads(trained.tags["onnx_agreement"])
    assert agreement["images"] == COUNTS["val"]
    assert agreement["comparisons"] == agreement["images"] * 4
    # Every square, alone and in a batch, at the size that the images have; at the other some squares fill no cell.
    assert agreement["detections"] >= 2 * _boxes(trained, "val", tmp_path)
    assert agreement["largest_score_difference"] <= agreement["score_tolerance"]


def test_the_int8_file_travels_with_the_model_and_its_checksum_is_in_the_pinned_file(
    trained: Pods, tmp_path: Path
) -> None:
    import onnx
    from trainer.precision import OpenVinoNetwork

    file = trained.onnx(tmp_path)
    notes = {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}
    told = json.loads(notes["int8"])
    int8 = file.parent / "extra_files" / told["file"]
    assert hashlib.sha256(int8.read_bytes()).hexdigest() == told["sha256"]
    assert int8.stat().st_size == told["bytes"] < file.stat().st_size / 2
    detector = OpenVinoNetwork(int8, "int8")
    for count, height, width in SHAPES:
        raw = detector.raw(np.zeros((count, 3, height, width), np.float32))
        assert raw.shape == (count, CHANNELS, _anchors(height, width))


def _measurable(file: Path) -> set[str]:
    """The precisions that this processor computes in and that OpenVINO, which a variable may hold back, can load."""
    from trainer.precision import OpenVinoNetwork
    from trainer.quantization import find_int8

    flags = set(Path("/proc/cpuinfo").read_text().split())
    needed = {"bf16": {"avx512_bf16", "amx_bf16"}, "int8": {"avx512_vnni", "avx_vnni", "amx_int8"}}
    found = set()
    for precision, path in {"bf16": file, "int8": find_int8(file)}.items():
        assert path is not None
        with contextlib.suppress(RuntimeError):
            OpenVinoNetwork(path, precision)
            found |= {precision} if flags & needed[precision] else set()
    return found


def test_evaluate_measures_the_test_split(trained: Pods, tmp_path: Path) -> None:
    metrics = trained.client.get_run(trained.run_id).data.metrics
    assert 0.9 < metrics["test/mAP50-95"] <= 1 and 0.9 < metrics["test/mAP50"] <= 1
    assert metrics["test/precision"] > 0.9 and metrics["test/recall"] > 0.9
    assert not any(name.startswith("live/") for name in metrics)
    assert trained.tags["live_comparison"] == "not compared: no version is live"
    drop = json.loads(trained.tags["precision_drop"])
    assert set(drop) == _measurable(trained.onnx(tmp_path))
    assert all(abs(each) < 0.05 for each in drop.values())
    assert {"by_class.csv", "examples.png", "PR_curve.png"} <= trained.artifacts("evaluation")
    rows = trained.download("evaluation/by_class.csv", tmp_path).read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["class", *NAMES]
    mean = np.mean([float(row.split(",")[4]) for row in rows[1:]])
    assert mean == pytest.approx(metrics["test/mAP50"], abs=1e-4)


def test_the_output_files_say_what_the_run_has(trained: Pods) -> None:
    """What a workflow reads in place of MLflow's tags."""
    said = {file.name: file.read_text() for file in (trained.workspace / "outputs").iterdir()}
    figures = json.loads(said.pop("figures"))
    assert said == {name: trained.tags[name] for name in ("dataset_digest", "model_uri", "sha256")}
    metrics = trained.client.get_run(trained.run_id).data.metrics
    assert figures["test/mAP50"] == metrics["test/mAP50"] and "verification_images" in figures


def test_the_verification_images_are_found_by_the_onnx_as_expected(trained: Pods, tmp_path: Path) -> None:
    from trainer import runtime

    runtime.register_nms()
    from trainer.networks import OnnxNetwork, to_batch
    from trainer.tasks.detect.agreement import box_iou
    from trainer.tasks.detect.detection import suppress

    folder = trained.download("verification", tmp_path)
    expected = json.loads((folder / "expected.json").read_text())
    assert (expected["image_size"], expected["confidence"], expected["iou"]) == (SIDE, 0.25, 0.7)
    assert expected["class_names"] == NAMES
    assert len(expected["images"]) == COUNTS["test"]
    pictures = [np.asarray(Image.open(folder / image["file"])) for image in expected["images"]]
    assert {picture.shape for picture in pictures} == {(SIDE, SIDE, 3)}
    found = suppress(OnnxNetwork(trained.onnx(tmp_path)).raw(to_batch(pictures)))
    for rows, image in zip(found, expected["images"], strict=True):
        wanted = np.array(image["detections"])
        assert len(rows) == len(wanted) > 0
        assert (np.abs(wanted[:, 4] - 0.25) > 0.03).all(), "none next to the threshold"
        assert box_iou(wanted[:, :4], rows[:, :4]).max(1).min() > 0.98
    boxes = np.concatenate([np.array(image["detections"])[:, :4] for image in expected["images"]])
    assert np.abs(boxes - CELL * np.round(boxes / CELL)).max() < 0.1, "each is one cell"
    assert len(boxes) == _boxes(trained, "test", tmp_path)


@pytest.mark.extended
def test_a_second_run_is_compared_with_the_live_version(trained: Pods) -> None:
    tags = {key: trained.tags[key] for key in ("sha256", "image_size", "class_names")}
    uri = trained.tags["model_uri"]
    trained.client.create_registered_model("digits-detector")
    version = trained.client.create_model_version(
        "digits-detector", uri, run_id=trained.run_id, tags=tags, model_id=uri.removeprefix("models:/")
    )
    metrics = trained.client.get_run(trained.run_id).data.metrics
    live = ["--registered-model=digits-detector", f"--live-version={version.version}"]
    result = trained.ok("evaluate", *live)
    assert f"compared with version 1 of digits-detector on the same {COUNTS['test']} test images" in result.out
    again = trained.client.get_run(trained.run_id)
    assert again.data.metrics["live/mAP50"] == metrics["test/mAP50"], "the same file on the same images"
    assert again.data.metrics["live/mAP50-95"] == metrics["test/mAP50-95"]
    assert again.data.tags["live_version"] == "1"

    trained.client.set_model_version_tag("digits-detector", "1", "class_names", '["cat", "dog"]')
    other = trained.ok("evaluate", *live)
    assert "not compared: version 1 of digits-detector knows other classes (cat, dog)" in other.out
    gone = trained.run("evaluate", "--registered-model=digits-detector", "--live-version=99")
    assert gone.status == 2
    assert gone.last.startswith("ERROR: MLflow at") and "version 99 of digits-detector, which is live" in gone.last


@pytest.mark.extended
@pytest.mark.parametrize(
    ("architecture", "size", "output"),
    [("yolo11n.yaml", 64, (-1, 14, -1)), ("yolo26n.yaml", 128, (-1, 300, 6))],
    ids=["plain", "end to end, without suppression"],
)
def test_an_architecture_that_learned_next_to_nothing_goes_the_whole_way(
    architecture: str, size: int, output: tuple[int, ...], server: Server, tmp_path: Path
) -> None:
    options = [f"--dataset=digits?images=30&size=64&seed={SEED}", f"--model={architecture}", f"--image-size={size}"]
    pods = make_pods(server, tmp_path / "workspace", *options, "--epochs=1", '--hyperparameters={"plots": false}')
    for command in ("prepare", "train", "evaluate"):
        pods.ok(command)
    assert pods.signature() == ([("images", (-1, 3, -1, -1))], [output])
    assert json.loads(pods.tags["onnx_agreement"])["comparisons"] == 4 * 3
    assert {"test/mAP50", "verification_images"} <= set(pods.client.get_run(pods.run_id).data.metrics)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ('{"lr0": 2}', "Valid 'lr0' values are between 0.0 and 1.0"),
        pytest.param('{"close_mosaic": "ten"}', "close_mosaic", marks=pytest.mark.extended),
    ],
)
def test_prepare_refuses_a_value_of_a_hyperparameter_before_it_reads_the_dataset(
    values: str, message: str, pods: Pods
) -> None:
    result = pods.run_process("prepare", f"--hyperparameters={values}")
    assert result.status == 2
    assert (
        result.last.startswith("ERROR: --hyperparameters has a value that Ultralytics refuses")
        and message in result.last
    )
    assert "Format: " not in result.out and "dataset_digest" not in pods.tags


MOUNTS = {
    "full": ("size=64k", 1, "has no room. It is the workspace's volume"),
    "read only": ("size=64k,ro", 2, "is mounted to be read only"),
}


@pytest.mark.parametrize("case", MOUNTS)
def test_a_workspace_that_takes_nothing_is_told_in_one_paragraph(case: str, server: Server, tmp_path: Path) -> None:
    options, status, message = MOUNTS[case]
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", workspace], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        pods = make_pods(server, workspace, '--hyperparameters={"mosaic": 0}')
        with contextlib.suppress(OSError):
            (workspace / "other").write_bytes(bytes(1 << 16))
        result = pods.run_process("prepare")
    finally:
        subprocess.run(["umount", workspace], check=True)
    assert result.status == status, result.err
    assert result.last.startswith("ERROR: ") and message in result.last


def test_prepare_stops_at_a_broken_dataset(pods: Pods, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "data.yaml").write_text("train: images/train\nnames: [a]\n")
    result = pods.run_process("prepare", f"--dataset={broken}")
    assert result.status == 2
    assert result.last.startswith("ERROR: The dataset") and "Splits that do not exist (1)" in result.last
    assert not set(pods.tags) & {"dataset_digest", "class_names"}


def test_train_needs_prepare(pods: Pods) -> None:
    result = pods.run("train")
    assert result.status == 2
    assert "has no tag dataset_digest, which `prepare` writes" in result.last


def test_a_run_that_is_not_there_is_no_reason_to_retry(pods: Pods) -> None:
    pods.run_id = "0" * 32
    result = pods.run("prepare")
    assert result.status == 2
    assert result.last.startswith("ERROR: MLflow at") and "opening the run" in result.last
