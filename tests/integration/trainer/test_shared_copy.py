"""Trainings that share the workspace's copy of a dataset: whatever happens to one of them, the copy stays as it was."""

from __future__ import annotations

import io
import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from colours import STILL, Colours
from PIL import Image
from pods import Pods, Server, make_pods
from trainer.datasets.cache import materialise
from trainer.datasets.stored import open_copy
from trainer.tasks.detect.labelling import BOXES

# With test_commands.py, one after another.
pytestmark = pytest.mark.xdist_group("trainer")

EPOCHS = 5


def _with_tails(dataset: Path, target: Path) -> Path:
    """The dataset with motion photos in train: Ultralytics rewrites a JPEG that has something behind its end."""
    shutil.copytree(dataset, target)
    for number, file in enumerate(sorted((target / "images/train").glob("*.png"))):
        content = io.BytesIO()
        Image.open(file).save(content, "JPEG", quality=95)
        file.with_suffix(".jpg").write_bytes(content.getvalue() + bytes([number]) * 500)
        file.unlink()
    return target


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _begun(pods: Pods) -> bool:
    """Whether its training has ended an epoch, of which there are more to come."""
    return (pods.workspace / "runs" / pods.run_id / "epochs.jsonl").exists()


def _damage(copy: Path) -> None:
    """An image is lost, a label file says something else, and the list of train has a line left."""
    (copy / "images/train/0.jpg").unlink()
    (copy / "labels/train/1.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (copy / "train.txt").write_text("./images/train/2.jpg\n")


@pytest.mark.extended
def test_the_copy_outlives_a_killed_training_and_a_repair_while_another_one_reads(
    server: Server, colours: Colours, tmp_path: Path
) -> None:
    source = _with_tails(colours.dataset, tmp_path / "source")
    options = [f"--dataset={source}", f"--model={colours.architecture}", f"--hyperparameters={json.dumps(STILL)}"]
    killed, reader = (make_pods(server, tmp_path / "workspace", *options) for _ in range(2))
    killed.ok("prepare")
    reader.ok("prepare")
    digest = killed.tags["dataset_digest"]
    copy = killed.workspace / "datasets" / digest
    before = _content(copy)
    assert {"data.yaml", "train.txt", "images/train/0.jpg", "labels/train/0.txt"} < before.keys()
    process = killed.start("train", "--epochs=500")
    sound: list[bool] = []

    def meanwhile() -> None:
        """While both train: kill one, damage the copy, and prepare the dataset as a third run would."""
        while not (_begun(killed) and _begun(reader)) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        _damage(copy)
        sound.append(open_copy(copy) is not None)
        materialise(str(source), killed.workspace, BOXES)

    beside = threading.Thread(target=meanwhile)
    beside.start()
    try:
        result = reader.run("train", f"--epochs={EPOCHS}")
    finally:
        process.kill()
        process.communicate()
        beside.join()
    assert result.status == 0, result.err
    assert process.returncode == -signal.SIGKILL
    assert [step for step, _ in reader.history("epoch_seconds")] == list(range(1, EPOCHS + 1))
    assert sound == [False], "what was damaged is seen"
    assert killed.workspace == reader.workspace and reader.tags["dataset_digest"] == digest
    assert [path.name for path in (killed.workspace / "datasets").iterdir()] == [digest]
    after = _content(copy)
    assert before.keys() == after.keys()
    # Of the files that were replaced, inodes and times are others.
    assert [name for name in before if after[name] != before[name]] in ([], ["stamps"])
