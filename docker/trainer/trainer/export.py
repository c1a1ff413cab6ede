"""Weights to ONNX, for any batch and image size."""

from __future__ import annotations

from pathlib import Path

from trainer.tasks.detect.detection import has_end_to_end_head


def export_onnx(weights: Path, target: Path, image_size: int) -> Path:
    """Write the ONNX of a weights file to ``target``.

    Suppression stays out of it: with it, Ultralytics' dynamic export finds nothing in any image after the first.
    """
    import onnx
    from ultralytics import YOLO

    model = YOLO(str(weights), task="detect")
    end_to_end = has_end_to_end_head(model.model)
    made = model.export(
        format="onnx",
        dynamic=True,
        simplify=True,
        imgsz=image_size,
        device="cpu",
        verbose=False,
        nms=False if end_to_end else None,
    )
    graph = onnx.load(str(made))
    # The date of the export would give the same weights another checksum each time.
    kept = [entry for entry in graph.metadata_props if entry.key != "date"]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part")
    onnx.save(graph, str(scratch))
    scratch.replace(target)
    Path(made).unlink()
    return target
