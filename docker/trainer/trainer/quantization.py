"""The model in INT8, by post-training quantization: a second file, whose checksum the FP32 file carries.

It is in OpenVINO's own format, zipped, because OpenVINO runs it. Quantized ONNX files were tried (yolo11n, NNCF 3.4.0,
OpenVINO 2026.4.1): ONNX Runtime is slower with them than in FP32, and OpenVINO loses 0.04 to 0.45 in mAP50-95.
Git pins the checksum of the FP32 file alone, so the note in it pins the INT8 file, too. Whether that one is served is
decided later, by what `evaluate` finds it to cost.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainer.datasets.model import Sample
from trainer.networks import to_batch
from trainer.progress import say

FILE = "model.int8.zip"
FOLDER = "extra_files"  # where MLflow's ONNX flavour keeps it, beside model.onnx
NOTE = "int8"  # in the FP32 file; model_repository/yolo's onnx_metadata.py reads it

MOST_IMAGES = 200
MOST_PIXELS = 25_000_000  # of all calibration images, so that large ones do not take ever longer
LEAST_IMAGES = 32
SEED = 0


def add_int8(
    file: Path,
    samples: list[Sample],
    image_size: int,
    read: Callable[[Path, int], np.ndarray],
    in_floats: Callable[[list[str]], list[str]],
) -> Path | None:
    """Quantize an ONNX and note the result in it; return the INT8 file, beside it.

    A model that cannot be quantized is no failure of the training: the log says why, and there is no INT8.

    Args:
        file: the ONNX in FP32; gets the note.
        samples: of the training split.
        image_size: of the training, in pixels.
        read: an image file of that size as the network is given it, (h, w, 3) of bytes.
        in_floats: those operations of a graph that INT8 is not enough for, besides all that are no convolutions.
    """
    target = file.with_name(FILE)
    target.unlink(missing_ok=True)
    started = time.monotonic()
    chosen = calibration_samples(samples, image_size)
    try:
        _quantize(file, target, lambda path: read(path, image_size), chosen, in_floats)
    except Exception as error:  # whatever a model's graph makes the quantization raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        say(f"No INT8, because the model cannot be quantized ({reason}): the version will be served without")
        return None
    _note(file, target)
    say(
        f"Quantized to INT8 on {len(chosen)} training images in {time.monotonic() - started:.1f} s: "
        f"{target.stat().st_size} bytes"
    )
    return target


def calibration_samples(samples: list[Sample], image_size: int) -> list[Sample]:
    """The same images each time, drawn from the whole split, and fewer the larger they are."""
    count = min(MOST_IMAGES, max(LEAST_IMAGES, MOST_PIXELS // image_size**2))
    order = np.random.default_rng(SEED).permutation(len(samples))
    return [samples[number] for number in order[:count]]


def find_int8(file: Path) -> Path | None:
    """The INT8 file that a downloaded ONNX names; None where it names none or the file is not the one that is named."""
    import onnx

    notes = {entry.key: entry.value for entry in onnx.load(str(file), load_external_data=False).metadata_props}
    if NOTE not in notes:
        return None
    told = json.loads(notes[NOTE])
    found = file.parent / FOLDER / told["file"]
    if not found.exists() or hashlib.sha256(found.read_bytes()).hexdigest() != told["sha256"]:
        say(f"The {found.name} that MLflow returns is not the one that was logged: the version is served without it")
        return None
    return found


def import_nncf() -> Any:
    """NNCF's module, without its telemetry.

    Importing it otherwise starts a process that posts to an analytics service. With None in the telemetry's place its
    import fails, and both NNCF and OpenVINO do without.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


def _quantize(
    file: Path,
    target: Path,
    read: Callable[[Path], np.ndarray],
    samples: list[Sample],
    in_floats: Callable[[list[str]], list[str]],
) -> None:
    nncf = import_nncf()
    import openvino

    model = openvino.Core().read_model(str(file))

    def prepared(sample: Sample) -> np.ndarray:
        return to_batch([read(sample.image)])

    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        quantized = nncf.quantize(
            model,
            nncf.Dataset(samples, prepared),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=_in_floats(model, in_floats), validate=False),
        )
    with tempfile.TemporaryDirectory() as name:
        openvino.save_model(quantized, str(Path(name) / "model.xml"), compress_to_fp16=False)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in ("model.xml", "model.bin"):
                archive.writestr(zipfile.ZipInfo(part), (Path(name) / part).read_bytes(), zipfile.ZIP_DEFLATED)


def _in_floats(model: Any, more: Callable[[list[str]], list[str]]) -> list[str]:
    """Everything but convolutions: the rest costs more in INT8, by conversions to and fro, than it gains."""
    operations = model.get_ordered_ops()
    end = set(more([operation.get_friendly_name() for operation in operations]))
    return [
        operation.get_friendly_name()
        for operation in operations
        if operation.get_type_name() not in ("Constant", "Parameter", "Result", "Convolution", "GroupConvolution")
        or (operation.get_type_name() != "Constant" and operation.get_friendly_name() in end)
    ]


def unpack(file: Path) -> tuple[bytes, bytes]:
    """What `openvino.Core().read_model` takes, of an INT8 file."""
    with zipfile.ZipFile(file) as archive:
        return archive.read("model.xml"), archive.read("model.bin")


def _note(file: Path, int8: Path) -> None:
    import onnx

    content = int8.read_bytes()
    model = onnx.load(str(file))
    entry = model.metadata_props.add()
    entry.key = NOTE
    entry.value = json.dumps({"file": int8.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})
    scratch = file.with_suffix(".part")
    onnx.save(model, str(scratch))
    scratch.replace(file)
