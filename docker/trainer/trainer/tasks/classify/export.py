"""A classifier's weights to ONNX: any batch, images of the training's size, probabilities out."""

from __future__ import annotations

from pathlib import Path

from trainer.export import save, write_onnx
from trainer.tasks.classify.networks import trust


def export_onnx(weights: Path, target: Path, image_size: int) -> Path:
    """Write the ONNX of a weights file to ``target``.

    Ultralytics' dynamic export leaves height and width open, too; a classifier is asked for one size.
    """
    import onnx
    from ultralytics import YOLO

    trust()
    model = YOLO(str(weights), task="classify")
    classes = len(model.names)
    write_onnx(model, target, image_size)
    file = onnx.load(str(target))
    for value, shape in (
        (file.graph.input[0], ("batch", 3, image_size, image_size)),
        (file.graph.output[0], ("batch", classes)),
    ):
        tensor = value.type.tensor_type
        del tensor.shape.dim[:]
        for length in shape:
            dimension = tensor.shape.dim.add()
            if isinstance(length, str):
                dimension.dim_param = length
            else:
                dimension.dim_value = length
    save(file, target)
    return target
