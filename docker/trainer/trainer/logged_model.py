"""The run's ONNX in MLflow: logged once, whatever happens to the pod that logs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.errors import TrackingError
from trainer.tracking import Run, translated

NAME = "model"
FILE = "model.onnx"


@dataclass(frozen=True)
class LoggedModel:
    """Its ``models:/m-…`` address and its model.onnx as the server returns it, with the SHA-256 (hex) of that file."""

    uri: str
    sha256: str
    file: Path


def find_logged(run: Run, folder: Path) -> LoggedModel | None:
    """The run's complete model, downloaded into ``folder``, or None; what was left half uploaded is deleted."""
    from mlflow.entities import LoggedModelStatus

    with translated(run.uri, "looking for the run's model"):
        found = run.client.search_logged_models(
            [run.experiment_id], filter_string=f"source_run_id = '{run.run_id}' AND name = '{NAME}'"
        )
        ready = [model for model in found if model.status == LoggedModelStatus.READY]
        for model in found:
            if model not in ready:
                run.client.delete_logged_model(model.model_id)
    return _download(run, f"models:/{ready[0].model_id}", folder) if ready else None


def log_onnx(
    run: Run, file: Path, class_names: list[str], image_size: int, folder: Path, more: Sequence[Path] = ()
) -> LoggedModel:
    """Log the ONNX with its signature, and ``more`` files that travel with it.

    The file is downloaded again (into ``folder``) and compared, so the checksum is that of what will be served.
    """
    import onnx

    model = onnx.load(str(file))
    logged = _download(run, _log(run, model, class_names, image_size, more), folder)
    if onnx.load(str(logged.file)).SerializeToString(deterministic=True) != model.SerializeToString(deterministic=True):
        raise TrackingError(
            f"The model that MLflow returns for {logged.uri} is not the one that was logged. See whether its artifact "
            "store is sound; then delete that model in MLflow and retry."
        )
    return logged


def _download(run: Run, uri: str, folder: Path) -> LoggedModel:
    file = next(run.download(uri, folder).rglob(FILE), None)
    if file is None:
        raise TrackingError(f"The model {uri} in MLflow has no {FILE}. Delete it there, then retry.")
    return LoggedModel(uri, hashlib.sha256(file.read_bytes()).hexdigest(), file)


def _log(run: Run, model: object, class_names: list[str], image_size: int, more: Sequence[Path]) -> str:
    import mlflow.onnx
    import onnx
    import onnxruntime

    with translated(run.uri, "logging the model"):
        info = mlflow.onnx.log_model(
            model,
            name=NAME,
            run_id=run.run_id,
            signature=_signature(model),
            # One file, so that its checksum is the model's.
            save_as_external_data=False,
            extra_files=[str(path) for path in more] or None,
            pip_requirements=[f"onnx=={onnx.__version__}", f"onnxruntime=={onnxruntime.__version__}"],
            metadata={"class_names": json.dumps(class_names, ensure_ascii=False), "image_size": str(image_size)},
        )
    return str(info.model_uri)


def _signature(model: object) -> object:
    """Names, types and shapes of the graph's input and output; -1 for what is dynamic."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(values: object) -> Schema:
        return Schema(
            [
                TensorSpec(
                    np.dtype(np.float32), tuple(d.dim_value or -1 for d in value.type.tensor_type.shape.dim), value.name
                )
                for value in values  # type: ignore[attr-defined]
            ]
        )

    return ModelSignature(inputs=schema(model.graph.input), outputs=schema(model.graph.output))  # type: ignore[attr-defined]
