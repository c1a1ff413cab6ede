"""A classifier, from data to what is served: ResNet-18 on handwritten digits, and a training that is interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pods import ROOT, SEED, Pods, Server, make_pods

# One server for all files of this folder, and trainings one after another: each takes all cores.
pytestmark = [pytest.mark.extended, pytest.mark.xdist_group("trainer")]

# dags/examples/digits-classes.yaml, with fewer digits and epochs.
TRAIN: dict[str, Any] = yaml.safe_load((ROOT / "dags/examples/digits-classes.yaml").read_text())["train"]
LEAST_TOP1 = 0.95


def _classifier(server: Server, workspace: Path, *more: str) -> Pods:
    options = [
        "--task=classify",
        f"--dataset=digits?task=classify&images=1250&seed={SEED}",
        f"--model={TRAIN['model']}",
        f"--image-size={TRAIN['image_size']}",
        f"--batch={TRAIN['batch']}",
        "--epochs=3",
        # Processes that load images cost more than they gain with so small ones.
        f"--hyperparameters={json.dumps(TRAIN['hyperparameters'] | {'workers': 0, 'plots': False})}",
    ]
    return make_pods(server, workspace, *options, *more)


@pytest.fixture(scope="module")
def classifier(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Pods:
    """A run through all three commands."""
    pods = _classifier(server, tmp_path_factory.mktemp("workspace"))
    for command in ("prepare", "train", "evaluate"):
        pods.ok(command)
    return pods


def test_resnet18_learns_handwritten_digits(classifier: Pods, tmp_path: Path) -> None:
    run = classifier.client.get_run(classifier.run_id)
    assert run.data.metrics["test/top5"] >= run.data.metrics["test/top1"] >= LEAST_TOP1
    assert [step for step, _ in classifier.history("val/top1")] == [1, 2, 3]
    assert [step for step, _ in classifier.history("train/loss")] == [1, 2, 3]
    assert run.data.tags["task"] == "classify"
    assert json.loads(run.data.tags["class_names"]) == [str(value) for value in range(10)]
    assert (run.data.params["model"], run.data.params["dataset_test_classes"]) == ("resnet18", "10")
    assert classifier.artifacts("plots") == set(), "none were asked for"
    assert {"by_class.csv", "confusion_matrix.png", "examples.png"} <= classifier.artifacts("evaluation")
    rows = classifier.download("evaluation/by_class.csv", tmp_path).read_text().splitlines()
    assert len(rows) == 11 and rows[0].startswith("class,images,top1")
    with Image.open(classifier.download("dataset/samples.png", tmp_path)) as picture:
        assert picture.size == (4 * 320, 3 * 320)


def test_the_onnx_gives_probabilities_for_any_batch(classifier: Pods, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    size = TRAIN["image_size"]
    assert classifier.signature() == ([("images", (-1, 3, size, size))], [(-1, 10)])
    file = classifier.onnx(tmp_path)
    notes = {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}
    assert (notes["task"], notes["imgsz"]) == ("classify", f"[{size}, {size}]")
    assert notes["names"] == str({number: str(number) for number in range(10)})
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    batch = np.random.default_rng(0).random((7, 3, size, size), np.float32)
    together = session.run(None, {"images": batch})[0]
    assert together.shape == (7, 10)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)
    alone = np.concatenate([session.run(None, {"images": batch[number : number + 1]})[0] for number in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert json.loads(classifier.tags["onnx_agreement"])["comparisons"] == 36


def test_the_int8_file_and_its_cost_are_those_of_detectors(classifier: Pods, tmp_path: Path) -> None:
    from trainer.precision import computes_in
    from trainer.quantization import find_int8

    assert find_int8(classifier.onnx(tmp_path)) is not None
    measured = json.loads(classifier.tags["precision_drop"])
    assert set(measured) <= {name for name in ("bf16", "int8") if computes_in(name)}
    assert all(-0.05 <= drop <= 0.05 for drop in measured.values()), "a few of 125 images at most"


def test_the_verification_images_are_what_the_onnx_says(classifier: Pods, tmp_path: Path) -> None:
    from trainer.networks import OnnxNetwork, to_batch

    folder = classifier.download("verification", tmp_path)
    told = json.loads((folder / "expected.json").read_text())
    assert (told["task"], told["image_size"], len(told["images"])) == ("classify", TRAIN["image_size"], 8)
    assert len({image["class"] for image in told["images"]}) >= 5, "they are of many classes"
    network = OnnxNetwork(classifier.onnx(tmp_path / "model"))
    for image in told["images"]:
        with Image.open(folder / image["file"]) as picture:
            scores = network.raw(to_batch([np.asarray(picture)]))[0]
        assert scores.argmax() == image["class"]
        np.testing.assert_allclose(scores, image["probabilities"], atol=1e-3)


def test_a_live_version_is_measured_on_the_same_images_and_must_be_of_the_same_task(classifier: Pods) -> None:
    client, tags = classifier.client, classifier.tags
    client.create_registered_model("digits-classifier")
    copied = {key: tags[key] for key in ("class_names", "image_size", "sha256", "task")}
    for task in ("classify", "detect"):
        model_id = tags["model_uri"].removeprefix("models:/")
        client.create_model_version(
            "digits-classifier", tags["model_uri"], tags=copied | {"task": task}, model_id=model_id
        )
    live = "--registered-model=digits-classifier", "--live-version=1"
    classifier.ok("evaluate", *live)
    metrics = client.get_run(classifier.run_id).data.metrics
    assert (metrics["live/top1"], metrics["live/top5"]) == (metrics["test/top1"], metrics["test/top5"])
    refused = classifier.run("evaluate", live[0], "--live-version=2")
    assert refused.status == 2
    assert "Version 2 of digits-classifier, which is live, is of the task detect, and the candidate of" in refused.last


def test_an_interrupted_training_goes_on_from_its_checkpoint(server: Server, tmp_path: Path) -> None:
    small = f"--dataset=digits?images=120&seed={SEED}", "--model=shufflenet_v2_x0_5", "--batch=16"
    pods = _classifier(server, tmp_path / "workspace", *small)
    pods.ok("prepare")
    process = pods.start("train")
    assert process.stdout is not None
    try:
        assert any("epoch 1/3" in line for line in process.stdout), "it ended before its first epoch did"
        while not (pods.workspace / f"runs/{pods.run_id}/checkpoint/state.json").exists():
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    result = pods.ok("train")
    assert "Going on from the checkpoint after epoch" in result.out
    assert [step for step, _ in pods.history("val/top1")] == [1, 2, 3]
    assert "The ONNX agrees with the PyTorch model" in result.out
