"""Weights to start from, of every kind: a training in the image's own terms, and what `prepare` refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from colours import BACKBONE, HEAD, KEEPING, NAMES, STILL, Colours, write_dataset
from in_image import Image
from pods import SEED, Pods, Server, free_port, make_pods, open_run
from stores import S3, Web

MODEL = "colours"


@dataclass(frozen=True)
class Places:
    """The expert's weights wherever weights may be."""

    sha256: str
    dataset: Path  # that every user may read
    web: Web
    s3: S3
    s3_uri: str

    @property
    def variables(self) -> dict[str, str]:
        """Of a pod."""
        return {"YOLO_WEIGHTS_URL": f"{self.web.url}/assets", **self.s3.variables}


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter (pytest's are root's alone)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def places(server: Server, colours: Colours, open_folder: Path) -> Iterator[Places]:
    content = colours.expert.read_bytes()
    dataset = shutil.copytree(colours.dataset, open_folder / "dataset")
    web, s3 = Web(), S3()
    try:
        web.files = {"/assets/yolo11n.pt": content, "/models/best.pt": content}
        register(server, colours.expert)
        yield Places(hashlib.sha256(content).hexdigest(), dataset, web, s3, s3.put(colours.expert, "a/best.pt"))
    finally:
        web.close()
        s3.close()


def register(server: Server, weights: Path | None, model: str = MODEL) -> str:
    """A version whose run has these weights, with the alias `champion`; its number."""
    import mlflow

    client = mlflow.MlflowClient(server.uri)
    run_id = open_run(server.uri)
    if weights:
        with tempfile.TemporaryDirectory() as folder:
            client.log_artifact(run_id, shutil.copyfile(weights, Path(folder) / "best.pt"), "weights")
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    version = client.create_model_version(model, source=f"runs:/{run_id}/model", run_id=run_id)
    client.set_registered_model_alias(model, "champion", version.version)
    return str(version.version)


@pytest.fixture(scope="module")
def image(places: Places, open_folder: Path) -> Iterator[Image]:
    """User 1000's process; its workspace is shared by the runs of these tests."""
    (open_folder / "pod").mkdir()
    running = Image(open_folder / "pod", **places.variables)
    yield running
    running.close()


def options(dataset: Path, model: str, hyperparameters: dict[str, Any] = KEEPING) -> list[str]:
    chosen = ["--epochs=1", "--image-size=64", "--batch=16", f"--seed={SEED}"]
    return [
        f"--dataset={dataset}",
        f"--model={model}",
        f"--hyperparameters={json.dumps(hyperparameters)}",
        *chosen,
    ]


KINDS = ["path", "published", "http", "s3", "alias"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_as_user_1000_starts_from_the_weights(
    kind: str, server: Server, places: Places, colours: Colours, image: Image
) -> None:
    if kind == "path":
        shutil.copyfile(colours.expert, image.workspace / "mine.pt")
    model = {
        "path": "mine.pt",
        "published": "yolo11n.pt",
        "http": f"{places.web.url}/models/best.pt?signature=secret",
        "s3": places.s3_uri,
        "alias": f"models:/{MODEL}@champion",
    }[kind]
    pods = Pods(server.uri, image.workspace, open_run(server.uri), options(places.dataset, model))
    environment = {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_RUN_ID": pods.run_id}
    for command in ("prepare", "train"):
        result = image.run([command, *pods.options, f"--workspace={image.workspace}"], **environment)
        assert result.status == 0, result.out + result.err
        assert "secret" not in result.out + result.err

    run = pods.client.get_run(pods.run_id).data
    assert run.metrics["val/mAP50"] > 0.9, "it has what the weights know"
    assert run.params["weights_sha256"] == places.sha256
    assert run.params["model"] == model.partition("?")[0]
    parent = f"{MODEL}/1" if kind == "alias" else None
    assert (run.params.get("parent_version"), run.tags.get("parent_version")) == (parent, parent)
    stored = list((image.workspace / "weights").glob("*.pt"))
    assert [file.name for file in stored] == [f"{places.sha256}.pt"], "once, for all runs"
    assert not list(image.app.iterdir())
    assert not [path for path in image.tmp.rglob("*") if path.suffix in {".pt", ".ttf"}]


def test_published_weights_are_downloaded_once(
    server: Server, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_WEIGHTS_URL", f"{places.web.url}/assets")
    before = places.web.requests.count("/assets/yolo11n.pt")
    for _ in range(2):
        make_pods(server, tmp_path, *options(places.dataset, "yolo11n.pt")).ok("prepare")
    assert places.web.requests.count("/assets/yolo11n.pt") == before + 1


def test_a_workspace_that_cannot_be_written_is_told_from_the_network(
    server: Server, places: Places, image: Image, open_folder: Path
) -> None:
    closed = open_folder / "closed"
    (closed / "datasets").mkdir(parents=True)
    environment = {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_RUN_ID": open_run(server.uri)}
    result = image.run(["prepare", *options(places.dataset, "yolo11n.pt"), f"--workspace={closed}"], **environment)
    assert result.status == 2
    assert "cannot be written by the pod's user" in result.last and "fsGroup" in result.last


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer import transfer

    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)


@pytest.mark.usefixtures("no_pauses")
def test_a_host_that_is_unreachable_may_be_retried(
    server: Server, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_WEIGHTS_URL", f"http://127.0.0.1:{free_port()}")
    result = make_pods(server, tmp_path, *options(places.dataset, "yolo11n.pt")).run("prepare")
    assert result.status == 1
    assert "could not be fetched in 4 attempts" in result.last and "Check that the pod reaches" in result.last


WRONG = {
    "unknown name": ("yolov8z.pt", "Ultralytics publishes none of that name. Did you mean yolov8"),
    "no such object": ("s3://weights/none.pt", "cannot be read"),
    "no such page": ("{web}/none.pt", "cannot be read"),
    "forbidden": ("{web}/forbidden.pt", "HTTP 403. Check the address, and the credentials"),
    "no such version": (f"models:/{MODEL}/99", "refused reading models:/colours/99"),
    "no such alias": (f"models:/{MODEL}@nobody", "refused reading models:/colours@nobody"),
    "version without weights": ("models:/without@champion", "has no artifact weights/best.pt"),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_that_are_not_there_are_refused(
    case: str, server: Server, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in places.variables.items():
        monkeypatch.setenv(name, value)
    places.web.files["/forbidden.pt"] = 403
    if case == "version without weights":
        register(server, None, "without")
    model, message = WRONG[case]
    pods = make_pods(server, tmp_path, *options(places.dataset, model.format(web=places.web.url)))
    result = pods.run("prepare")
    assert result.status == 2, result.out + result.err
    assert message in result.last


class _Program:
    """What a malicious pickle is: reading it runs a program."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return os.mkdir, (str(self._file),)


def _classifier(_: Path) -> bytes:
    import torch
    from ultralytics import YOLO

    architecture = {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[-1, 1, "Classify", ["nc"]]]}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "classifier.yaml"
        file.write_text(yaml.safe_dump(architecture))
        torch.manual_seed(SEED)
        model = YOLO(str(file), task="classify")
        model.save(str(Path(name) / "model.pt"))
        return (Path(name) / "model.pt").read_bytes()


def _diverged(expert: Path) -> bytes:
    """As a training in half precision whose loss became NaN leaves it."""
    import torch

    checkpoint = torch.load(expert, weights_only=False)
    next(checkpoint["model"].parameters()).data[0] = float("nan")
    return _saved(checkpoint)


def _saved(content: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


NO_WEIGHTS = {
    "html": (lambda _: b"<!DOCTYPE html><html>Sign in</html>", "are a web page"),
    "git lfs": (lambda _: b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    "empty": (lambda _: b"", "cannot be loaded"),
    "noise": (lambda _: bytes(range(256)) * 16, "cannot be loaded"),
    "truncated": (lambda expert: expert.read_bytes()[:-2000], "cannot be loaded"),
    "classifier": (_classifier, "end in Classify: they are not a plain detector's"),
    "diverged": (_diverged, "have values that are no finite numbers: the training that wrote them diverged"),
    "tensors alone": (lambda _: _saved({"a": 1}), "cannot be loaded"),
    "program": (lambda expert: _saved({"model": _Program(expert.parent / "ran")}), "cannot be loaded"),
    "bare program": (lambda expert: pickle.dumps(_Program(expert.parent / "ran")), "cannot be loaded"),
}


@pytest.mark.parametrize("case", NO_WEIGHTS)
def test_a_file_that_is_no_detectors_weights_is_refused(
    case: str, server: Server, places: Places, colours: Colours, tmp_path: Path
) -> None:
    make, message = NO_WEIGHTS[case]
    expert = Path(shutil.copy(colours.expert, tmp_path))
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/wrong.pt").write_bytes(make(expert))
    result = make_pods(server, tmp_path / "workspace", *options(places.dataset, "wrong.pt")).run("prepare")
    assert result.status == 2, result.out + result.err
    assert message in result.last and "Traceback" not in result.err
    assert not (tmp_path / "ran").exists(), "a file of weights ran a program"
    assert not list((tmp_path / "workspace/weights").glob("*.pt")), "nothing of it is kept"


def test_weights_are_fetched_again_where_the_workspace_is_new_and_must_be_the_same(
    server: Server, places: Places, colours: Colours, tmp_path: Path
) -> None:
    import mlflow

    old = register(server, colours.expert, "moving")
    pods = make_pods(server, tmp_path / "one", *options(places.dataset, "models:/moving@champion"))
    pods.ok("prepare")
    register(server, colours.beginner, "moving")
    pods.workspace = tmp_path / "two"
    pods.ok("train")
    assert pods.history("val/mAP50")[0][1] > 0.9, "of the version that was live when the run began"
    assert pods.tags["parent_version"] == f"moving/{old}"
    assert mlflow.MlflowClient(server.uri).get_model_version_by_alias("moving", "champion").version != old

    places.web.files["/changing.pt"] = colours.expert.read_bytes()
    pods = make_pods(server, tmp_path / "one", *options(places.dataset, f"{places.web.url}/changing.pt"))
    pods.ok("prepare")
    places.web.files["/changing.pt"] = colours.beginner.read_bytes()
    pods.workspace = tmp_path / "three"
    result = pods.run("train")
    assert result.status == 2
    assert "have changed since prepare checked them" in result.last


def layers(weights: Path) -> dict[str, Any]:
    """The values of a network's layers."""
    from ultralytics.nn.tasks import load_checkpoint

    return dict(load_checkpoint(str(weights))[0].state_dict())


def test_other_classes_larger_images_and_frozen_layers_work_as_in_ultralytics(
    server: Server, colours: Colours, tmp_path: Path
) -> None:
    """Four classes instead of three, images of 672 pixels, and a backbone that stays."""
    dataset = write_dataset(tmp_path / "dataset", SEED)
    (dataset / "data.yaml").write_text(
        yaml.safe_dump({**{split: f"images/{split}" for split in ("train", "val", "test")}, "names": [*NAMES, "white"]})
    )
    changes = STILL | {"optimizer": "SGD", "lr0": 0.1, "freeze": len(BACKBONE), "fraction": 0.25}
    pods = make_pods(server, tmp_path / "workspace", *options(dataset, str(colours.expert), changes))
    pods.ok("prepare", "--image-size=672")
    pods.ok("train", "--image-size=672")
    before, after = layers(colours.expert), layers(pods.download("weights/best.pt", tmp_path))
    assert pods.signature()[1] == [(-1, 4 + 4, -1)]
    scores = f"model.{HEAD}.cv3.1.2.weight"
    assert (before[scores].shape[0], after[scores].shape[0]) == (3, 4)
    weights = [name for name in before if name.endswith("weight") and before[name].shape == after[name].shape]
    frozen = [name for name in weights if int(name.split(".")[1]) in BACKBONE]
    trained = [name for name in weights if int(name.split(".")[1]) == HEAD and ".cv3." in name]
    assert frozen and trained
    # Checkpoints are in half precision.
    assert all((before[name].half() == after[name].half()).all() for name in frozen)
    assert any((before[name].half() != after[name].half()).any() for name in trained)


def test_an_architecture_of_ones_own_takes_what_fits(
    server: Server, places: Places, colours: Colours, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    shutil.copyfile(colours.architecture, workspace / "mine.yaml")
    shutil.copyfile(colours.expert, workspace / "expert.pt")
    pods = make_pods(server, workspace, *options(places.dataset, "mine.yaml", KEEPING | {"pretrained": "expert.pt"}))
    pods.ok("prepare")
    pods.ok("train")
    run = pods.client.get_run(pods.run_id).data
    assert run.metrics["val/mAP50"] > 0.9
    assert (run.params["model"], run.params["pretrained"]) == ("mine.yaml", "expert.pt")
    assert run.params["weights_sha256"] == places.sha256
