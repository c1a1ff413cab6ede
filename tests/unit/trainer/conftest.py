"""Datasets to break, for the trainer's tests. They run in the training image's environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docker" / "trainer"))

ROW = "0 0.5 0.5 0.25 0.25\n"
MakeTree = Callable[..., Path]


def write_image(path: Path, seed: int, size: tuple[int, int] = (32, 24)) -> None:
    """A picture of noise that no other seed makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Makes a sound dataset of 2 classes in a new folder: ``splits`` maps a split to its number of images."""

    def make(name: str = "tree", splits: dict[str, int] | None = None) -> Path:
        root = tmp_path / name
        counts = splits or {"train": 6, "val": 2, "test": 2}
        seed = 0
        for split, count in counts.items():
            for number in range(count):
                write_image(root / f"images/{split}/{number}.png", seed)
                label = root / f"labels/{split}/{number}.txt"
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text(ROW)
                seed += 1
        data = {**{split: f"images/{split}" for split in counts}, "names": ["cat", "dog"]}
        (root / "data.yaml").write_text(yaml.safe_dump(data))
        return root

    return make


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A convolution whose output has the shape of a detector's of 2 classes: (n, 6, anchors)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 0.2, (6, 3, 8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["grid"], strides=[8, 8]),
        helper.make_node("Reshape", ["grid", "shape"], ["output"]),
    ]
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([0, 6, -1], np.int64), "shape"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 6, "a"])],
        constants,
    )
    file = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file
