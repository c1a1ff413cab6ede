"""A classifier, from data to what is served: ResNet-18 on handwritten digits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pods import SEED, Pods, Server, make_pods

# One server for all files of this folder, and trainings one after another: each takes all cores.
pytestmark = pytest.mark.xdist_group("trainer")

SIZE = 32
# Found by measuring: see docs/evidence.md. Steps as small as these are worth one thread.
RECIPE = {
    "optimizer": "AdamW",
    "lr0": 0.002,
    "cos_lr": True,
    "warmup_epochs": 0,
    "nbs": 32,
    "scale": 0.1,
    "fliplr": 0,
    "auto_augment": "",
    "erasing": 0,
    "hsv_h": 0,
    "hsv_s": 0,
    "hsv_v": 0,
    "cache": "ram",
    "workers": 0,
}
DIGITS = f"--dataset=digits?task=classify&images=1250&seed={SEED}"
LEAST_TOP1 = 0.95


def _classifier(server: Server, workspace: Path, *more: str) -> Pods:
    options = ["--task=classify", "--model=resnet18", DIGITS, f"--image-size={SIZE}", "--batch=32", "--epochs=3"]
    return make_pods(server, workspace, *options, f"--hyperparameters={json.dumps(RECIPE)}", *more)


@pytest.fixture(scope="module")
def classifier(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Pods:
    """A run through all three commands."""
    pods = _classifier(server, tmp_path_factory.mktemp("workspace"))
    for command in ("prepare", "train", "evaluate"):
        result = pods.run_process(command)
        assert result.status == 0, result.out + result.err
    return pods


def test_resnet18_learns_handwritten_digits(classifier: Pods, tmp_path: Path) -> None:
    run = classifier.client.get_run(classifier.run_id)
    assert run.data.metrics["test/top1"] >= LEAST_TOP1
    assert run.data.metrics["test/top5"] >= run.data.metrics["test/top1"]
    assert [step for step, _ in classifier.history("val/top1")] == [1, 2, 3]
    assert run.data.tags["task"] == "classify"
    assert json.loads(run.data.tags["class_names"]) == [str(value) for value in range(10)]
    assert run.data.params["model"] == "resnet18"
    assert {"by_class.csv", "confusion_matrix.png", "examples.png"} <= classifier.artifacts("evaluation")
    rows = classifier.download("evaluation/by_class.csv", tmp_path).read_text().splitlines()
    assert len(rows) == 11 and rows[0].startswith("class,images,top1")
