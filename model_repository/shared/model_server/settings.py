"""Every setting of the server, in one place: the model's parameters in config.pbtxt first, then the environment."""

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_server.errors import LoadError

# Field: (parameter in config.pbtxt, environment variable).
SOURCES = {
    "tracking_uri": ("mlflow_tracking_uri", "MLFLOW_TRACKING_URI"),
    "name": ("mlflow_model_name", "MLFLOW_MODEL_NAME"),
    "version": ("mlflow_model_version", "MLFLOW_MODEL_VERSION"),
    "sha256": ("sha256", "MODEL_SHA256"),
    "code_commit": ("code_commit", "MODEL_CODE_COMMIT"),
    "cache_dir": ("cache_dir", "MODEL_CACHE_DIR"),
    "cache_limit_mb": ("cache_limit_mb", "MODEL_CACHE_LIMIT_MB"),
    "load_timeout": ("load_timeout", "MODEL_LOAD_TIMEOUT"),
    "request_timeout": ("request_timeout", "MODEL_REQUEST_TIMEOUT"),
    "threads": ("threads", "MODEL_THREADS"),
    "confidence": ("confidence", "MODEL_CONFIDENCE"),
    "iou": ("iou", "MODEL_IOU"),
    "max_side": ("max_side", "MODEL_MAX_SIDE"),
    "max_pixels": ("max_pixels", "MODEL_MAX_PIXELS"),
    "shapes": ("shapes", "MODEL_SHAPES"),
    "engine": ("engine", "MODEL_ENGINE"),
    "precision": ("precision", "MODEL_PRECISION"),
    "on_crash": ("on_crash", "MODEL_ON_CRASH"),
}


@dataclass(frozen=True)
class Settings:
    """What to serve and how.

    Attributes:
        tracking_uri: address of the MLflow server.
        name: registered model's name in MLflow.
        version: number of the version to serve; there is no "latest", because git decides.
        sha256: what the ONNX file must have, 64 hex digits; None: the version's tag `sha256` is the expectation.
        cache_dir: where downloaded models are kept, by their sha256.
        code_commit: the commit of this code, as the chart checked it out; empty: it is not from Git.
        cache_limit_mb: models longest unused are removed beyond this.
        load_timeout: seconds for finding and downloading the model, all retries included.
        request_timeout: seconds that one answer of MLflow may keep us waiting.
        threads: threads of one inference; None: the container's CPU limit.
        confidence: least confidence of a detection, where the request does not say.
        iou: overlap above which the less confident of two boxes goes, where the request does not say.
        max_side: longest side of an input, pixels, or the size that the model was trained for if that is more; memory
            grows with its square.
        max_pixels: most pixels (width times height) of a picture file that is decoded; 40 million take 120 MB.
        shapes: how many models OpenVINO may compile for one shape alone, when that comes often; each takes some tens of
            megabytes.
        engine: `onnxruntime` or `openvino` (processor), `cuda` or `tensorrt` (GPU), or `auto`: the fastest one that is
            there. One that is named is the only one: where it cannot be used, the model does not become ready.
        precision: `fp32`, `bf16`, `int8`, `fp16` (TensorRT), or `auto`: the fastest one that the version's evaluation
            allows. One that it does not allow is not used, even where it is named: the version stays at FP32.
        on_crash: `exit`: Triton ends where the model's process has died, so that it is started again; `stay`: it serves
            its other models, and this one's requests fail.
    """

    tracking_uri: str
    name: str
    version: int
    sha256: str | None
    cache_dir: Path
    code_commit: str = ""
    cache_limit_mb: float = 4096.0
    load_timeout: float = 300.0
    request_timeout: float = 20.0
    threads: int | None = None
    confidence: float = 0.25
    iou: float = 0.7
    max_side: int = 2048
    max_pixels: int = 40_000_000
    shapes: int = 4
    engine: str = "auto"
    precision: str = "auto"
    on_crash: str = "exit"


def read_settings(model_config: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads the settings of one model.

    Args:
        model_config: Triton's configuration of the model; `parameters` is {key: {"string_value": value}}.
        environment: the process's environment.

    Raises:
        LoadError: a setting is missing or is not what it must be; the message names it.
    """
    reader = _Reader(model_config.get("parameters") or {}, environment)
    return Settings(
        tracking_uri=reader.required("tracking_uri", "the address of the MLflow server"),
        name=reader.required("name", "the registered model's name in MLflow"),
        version=int(reader.number("version", None, 1, 2**31, whole=True)),
        sha256=reader.sha256(),
        cache_dir=reader.cache_dir(),
        code_commit=reader.find("code_commit"),
        cache_limit_mb=reader.number("cache_limit_mb", Settings.cache_limit_mb, 0, 1e9),
        load_timeout=reader.number("load_timeout", Settings.load_timeout, 1, 86400),
        request_timeout=reader.number("request_timeout", Settings.request_timeout, 1, 3600),
        threads=int(reader.number("threads", 0, 0, 1024, whole=True)) or None,
        confidence=reader.number("confidence", Settings.confidence, 0, 1),
        iou=reader.number("iou", Settings.iou, 0, 1),
        max_side=int(reader.number("max_side", Settings.max_side, 32, 16384, whole=True)),
        max_pixels=int(reader.number("max_pixels", Settings.max_pixels, 1, 2**31, whole=True)),
        shapes=int(reader.number("shapes", Settings.shapes, 0, 64, whole=True)),
        engine=reader.one_of("engine", ("auto", "onnxruntime", "openvino", "cuda", "tensorrt")),
        precision=reader.one_of("precision", ("auto", "fp32", "bf16", "int8", "fp16")),
        on_crash=reader.one_of("on_crash", ("exit", "stay")),
    )


class _Reader:
    """Looks a setting up and names it, in messages, as its user knows it."""

    def __init__(self, parameters: object, environment: Mapping[str, str]) -> None:
        self._parameters = parameters if isinstance(parameters, Mapping) else {}
        self._environment = environment

    def find(self, field: str) -> str:
        """The setting's text; empty where it is not set anywhere."""
        parameter, variable = SOURCES[field]
        entry = self._parameters.get(parameter)
        value = entry.get("string_value", "") if isinstance(entry, Mapping) else ""
        return str(value).strip() or self._environment.get(variable, "").strip()

    def required(self, field: str, meaning: str) -> str:
        value = self.find(field)
        if not value:
            parameter, variable = SOURCES[field]
            raise LoadError(
                f"{variable} is not set: set it, or the parameter {parameter} in config.pbtxt, to {meaning}, then "
                "load again"
            )
        return value

    def number(self, field: str, default: float | None, least: float, most: float, whole: bool = False) -> float:
        text = self.find(field)
        if not text and default is not None:
            return default
        parameter, variable = SOURCES[field]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            limits = f"from {least:g} to {most:g}" if most < 2**31 else f"from {least:g} on"
            raise LoadError(
                f"{variable} is {text!r}, but must be {kind} {limits}: correct it (or the parameter {parameter} in "
                "config.pbtxt) and load again"
            )
        return value

    def one_of(self, field: str, choices: tuple[str, ...]) -> str:
        """One of some words; the first where it is not set."""
        value = self.find(field).lower() or choices[0]
        if value not in choices:
            parameter, variable = SOURCES[field]
            raise LoadError(
                f"{variable} is {value!r}, but must be one of {', '.join(choices)}: correct it (or the parameter "
                f"{parameter} in config.pbtxt) and load again"
            )
        return value

    def sha256(self) -> str | None:
        value = self.find("sha256").lower()
        if value and (len(value) != 64 or set(value) - set("0123456789abcdef")):
            raise LoadError(
                f"MODEL_SHA256 is {value!r}, but must be 64 hexadecimal digits: copy the version's tag "
                "sha256 from MLflow"
            )
        return value or None

    def cache_dir(self) -> Path:
        value = self.find("cache_dir")
        return Path(value) if value else Path(tempfile.gettempdir()) / f"yolo-models-{os.getuid()}"
