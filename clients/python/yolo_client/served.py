"""Which version a server serves, by its own account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_client.errors import WrongModelServed


@dataclass(frozen=True)
class ServedModel:
    """What is loaded in the server's memory.

    Attributes:
        name, version: registered model and version in MLflow.
        run_id: MLflow run that trained it.
        sha256: of its ONNX file, 64 hex digits.
        class_names: by class index.
        image_size: side of the square that it was trained for, pixels.
        engine, precision: what runs it.
        code_commit: the commit of the code that serves it; empty: that code is not from Git, or an older server's.
    """

    name: str
    version: int
    run_id: str
    sha256: str
    class_names: tuple[str, ...]
    image_size: int
    engine: str = ""
    precision: str = ""
    code_commit: str = ""

    def class_name(self, index: int) -> str:
        """Name of a class; its number where the model does not name it."""
        return self.class_names[index] if 0 <= index < len(self.class_names) else str(index)


def parse_model_info(content: NDArray[np.uint8]) -> ServedModel:
    """Reads the output `model_info` (any shape whose last axis is the bytes of the JSON object).

    Raises:
        WrongModelServed: it is not what the served model.py writes.
    """
    text = content.reshape(-1, content.shape[-1])[0].tobytes()
    try:
        told = json.loads(text)
        return ServedModel(
            name=str(told["name"]),
            version=int(told["version"]),
            run_id=str(told["run_id"]),
            sha256=str(told["sha256"]),
            class_names=tuple(str(name) for name in told["class_names"]),
            image_size=int(told["image_size"]),
            engine=str(told.get("engine", "")),
            precision=str(told.get("precision", "")),
            code_commit=str(told.get("code_commit", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WrongModelServed(
            f"the server's model_info is not that of this project's detector ({error!r} in {text[:200]!r}): check the "
            "address and the model's name, and that the server runs this repository's model_repository"
        ) from error


def check_against_config(served: ServedModel, config: Mapping[str, Any]) -> ServedModel:
    """Compares what is in memory with what the model's configuration promises, as far as it promises anything.

    Returns:
        What is in memory; a code commit that only the configuration tells, as of older code, is added.

    Raises:
        WrongModelServed: they differ: the configuration was changed without a load.
    """
    parameters = config.get("parameters") or {}

    def promise(key: str) -> str:
        return str((parameters.get(key) or {}).get("string_value", ""))

    for key, actual in (
        ("mlflow_model_name", served.name),
        ("mlflow_model_version", str(served.version)),
        ("mlflow_run_id", served.run_id),
        ("sha256", served.sha256),
        ("code_commit", served.code_commit or promise("code_commit")),
    ):
        promised = promise(key)
        if promised and promised != actual:
            raise WrongModelServed(
                f"the server's configuration says {key} {promised}, but what it has in memory is {actual}: load the "
                "model again or restart the server"
            )
    return replace(served, code_commit=served.code_commit or promise("code_commit"))
