"""Weights to ONNX, the same bytes for the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_onnx(model: Any, target: Path, image_size: int, **options: Any) -> Path:
    """Export one of Ultralytics' models to ``target``, for any batch; ``options``: further ones of its exporter."""
    made = Path(
        model.export(
            format="onnx", dynamic=True, simplify=True, imgsz=image_size, device="cpu", verbose=False, **options
        )
    )
    finish(made, target)
    made.unlink()
    return target


def finish(made: Path, target: Path) -> None:
    """Copy an ONNX without its date, which would give the same weights another checksum each time."""
    import onnx

    graph = onnx.load(str(made))
    kept = [entry for entry in graph.metadata_props if entry.key != "date"]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    save(graph, target)


def save(graph: Any, target: Path) -> None:
    """Write an ONNX whole or not at all."""
    import onnx

    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part")
    onnx.save(graph, str(scratch))
    scratch.replace(target)
