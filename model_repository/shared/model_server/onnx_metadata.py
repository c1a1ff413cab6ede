"""What an ONNX file says of itself: its input, and the notes of the export."""

import ast
import json
import re
from dataclasses import dataclass

from model_server.errors import LoadError
from model_server.runners import open_session

# The note, in the FP32 file, that names its INT8 sibling: {"file": "model.int8.zip", "sha256": "…", "bytes": 123}.
INT8_NOTE = "int8"
# The note with the letterboxed shapes of the training's pictures, [[height, width], …], the most frequent first.
SHAPES_NOTE = "shapes"
# Ultralytics' note of the task.
TASK_NOTE = "task"
# What a note may ask for, pixels: memory grows with its square.
LONGEST_SIDE = 4096


@dataclass(frozen=True)
class Sibling:
    """A second file of the version. Its checksum is in the FP32 file, so that Git pins it with that one's."""

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class OnnxMetadata:
    """What is known of a model before it runs.

    Attributes:
        fixed: (batch, height, width) that the export fixed; None where any is right.
        stride: height and width of inputs are multiples of it.
        class_names: as the export noted them; empty where it did not.
        image_size: as the export noted it.
        int8: where the same model in INT8 is; None: the training made none.
        shapes: (height, width) that pictures like the training's are letterboxed to, the most frequent first; empty
            where the training did not note them.
        task: Ultralytics' word for what it is for, such as `detect`; empty where the export did not note it.
    """

    fixed: tuple[int | None, int | None, int | None]
    stride: int
    class_names: list[str]
    image_size: int | None
    int8: Sibling | None
    shapes: list[tuple[int, int]]
    task: str = ""

    def expected(self, size: int) -> list[tuple[int, int]]:
        """Shapes of inputs that will come: those of the notes that the export takes, or else the square of `size`."""
        _, height, width = self.fixed
        if height or width or not self.shapes:
            return [(height or size, width or size)]
        return self.shapes


def read_metadata(content: bytes) -> OnnxMetadata:
    """Reads an ONNX file.

    Raises:
        LoadError: it is not an ONNX model that takes one image tensor.
    """
    session = open_session(content, 1, metadata_only=True)
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in ("tensor(float)", "tensor(float16)"):
        found = "; ".join(f"{item.name} {item.type} {item.shape}" for item in inputs)
        raise LoadError(
            f"the model's inputs are {found}, but must be one float tensor [N, 3, H, W]: export it with "
            "`yolo export format=onnx dynamic=True`"
        )
    batch, _, height, width = (size if isinstance(size, int) else None for size in inputs[0].shape)
    notes: dict[str, str] = session.get_modelmeta().custom_metadata_map
    stride = int(notes["stride"]) if notes.get("stride", "").isdigit() else 32
    return OnnxMetadata(
        fixed=(batch, height, width),
        stride=stride,
        class_names=names_in(notes.get("names", "")),
        image_size=_first_number(notes.get("imgsz", "")),
        int8=_sibling(notes.get(INT8_NOTE, "")),
        shapes=_shapes(notes.get(SHAPES_NOTE, ""), stride),
        task=notes.get(TASK_NOTE, "").strip(),
    )


def _sibling(text: str) -> Sibling | None:
    try:
        told = json.loads(text)
        found = Sibling(str(told["file"]), str(told["sha256"]), int(told["bytes"]))
    except (ValueError, KeyError, TypeError):
        return None
    # The name becomes part of an address and of a path.
    sound = re.fullmatch(r"\w[\w.-]*", found.file) and re.fullmatch("[0-9a-f]{64}", found.sha256)
    return found if sound else None


def _shapes(text: str, stride: int) -> list[tuple[int, int]]:
    try:
        found = [(int(height), int(width)) for height, width in json.loads(text)]
    except (ValueError, TypeError):
        return []
    sound = all(0 < side <= LONGEST_SIDE and side % stride == 0 for sides in found for side in sides)
    return found if sound else []


def names_in(text: str) -> list[str]:
    """Class names from Ultralytics' note `{0: 'person', 1: ...}`; none: an empty list."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [str(value[index]) for index in sorted(value)] if isinstance(value, dict) else []


def _first_number(text: str) -> int | None:
    """The first size of a note such as `[640, 640]`."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if isinstance(first, int) else None
