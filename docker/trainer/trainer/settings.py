"""What a command was asked to do: its options, and MLflow's address from the environment.

Nothing else reads the command line. Values are checked here, so that a wrong one costs no work.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from trainer.errors import InputError
from trainer.weights.reference import FORMS

COMMANDS = {
    "prepare": "fetch and check the dataset, record its digest",
    "train": "train the detector, export it to ONNX, log it to the MLflow run",
    "evaluate": "measure the ONNX on the test split, beside the version that is live",
}


@dataclass(frozen=True)
class Settings:
    """The options of one command (each command uses those that it needs)."""

    command: str
    dataset: str
    workspace: Path
    tracking_uri: str
    run_id: str
    model: str = "yolo11n.yaml"
    epochs: int = 8
    image_size: int = 160
    batch: int = 16
    seed: int = 0
    device: str = "auto"
    gpus: int = 0
    registered_model: str = ""
    live_version: str = ""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    outputs: Path | None = None  # folder for what a workflow reads from files; none: the run's tags say it all
    weights_url: str = ""  # the folder on the web that has the published weights; empty: Ultralytics' own

    @property
    def run_folder(self) -> Path:
        """Where this run keeps its checkpoints, so that a retried pod finds them."""
        return self.workspace / "runs" / self.run_id


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"The command line is wrong: {message}. `python -m trainer --help` lists the options.")


def _parser() -> _Parser:
    parser = _Parser(prog="python -m trainer", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument(
            "--dataset",
            required=True,
            help="directory, zip or tar by path, file://, http(s):// or "
            "s3://; or digits, digits?images=1200&size=128&seed=0",
        )
        command.add_argument("--workspace", type=Path, default=Path("/workspace"), help="dataset cache and checkpoints")
        command.add_argument("--model", default="yolo11n.yaml", help=f"what to start from: {FORMS}")
        command.add_argument("--epochs", type=int, default=8)
        command.add_argument("--image-size", type=int, default=160, help="side in pixels, a multiple of 32")
        command.add_argument("--batch", type=int, default=16, help="images in a training step")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument(
            "--device", default="auto", help="auto: all GPUs of the pod, else the CPU; cpu; or 0,1,2,3"
        )
        command.add_argument("--gpus", type=int, default=0, help="GPUs that the training pod asks for")
        command.add_argument("--registered-model", default="", help="MLflow's registered model")
        command.add_argument("--live-version", default="", help="version that is live; empty: none")
        command.add_argument(
            "--outputs", type=Path, help="folder for small files with what the command found out, for a workflow"
        )
        command.add_argument("--hyperparameters", default="{}", help="JSON object of Ultralytics' train arguments")
    return parser


def _hyperparameters(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise InputError(
            f'--hyperparameters is not JSON ({error}): {text[:200]!r}. Give an object such as {{"lr0": 0.003}}.'
        ) from error
    if not isinstance(value, dict):
        raise InputError(f'--hyperparameters must be a JSON object such as {{"lr0": 0.003}}, not {text[:200]!r}.')
    return value


def _check(options: argparse.Namespace) -> None:
    """Raise InputError for the first option that is out of range."""
    ranges = {
        "epochs": (1, 10_000),
        "image_size": (32, 4096),
        "batch": (1, 4096),
        "seed": (0, 2**31 - 1),
        "gpus": (0, 64),
    }
    for name, (least, most) in ranges.items():
        value = getattr(options, name)
        if not least <= value <= most:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be from {least} to {most}.")
    if options.image_size % 32:
        raise InputError(f"--image-size is {options.image_size}; it must be a multiple of 32, the detector's stride.")
    _check_device(options.device, options.gpus, options.batch)


def _check_device(device: str, gpus: int, batch: int) -> None:
    if device not in {"auto", "cpu"}:
        numbers = device.split(",")
        if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
            raise InputError(
                f"--device is {device!r}; give auto (all GPUs of the pod, else the CPU), cpu, or numbers of GPUs, "
                "such as 0 or 0,1,2,3."
            )
        gpus = max(gpus, len(numbers))
    elif device == "cpu" and gpus:
        raise InputError(
            f"The training pod asks for {gpus} GPU(s), and --device is cpu, which would leave them idle. Set it to "
            "auto, or ask for none (LIFECYCLE_TRAINER_GPUS)."
        )
    if batch < gpus:
        raise InputError(f"--batch is {batch}, too few images for {gpus} GPUs. Give each at least one.")


def read_settings(argv: list[str]) -> Settings:
    """Parse ``argv`` and the environment.

    Raises:
        InputError: an option is unknown, missing or out of range, or MLflow's address is not in the environment.
    """
    options = _parser().parse_args(argv)
    _check(options)
    missing = [name for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID") if not os.environ.get(name)]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} must be set in the environment: the server, and the run that the "
            "DAG opened, which this command writes to."
        )
    values = vars(options) | {"hyperparameters": _hyperparameters(options.hyperparameters)}
    values["workspace"] = options.workspace.absolute()
    values["weights_url"] = os.environ.get("YOLO_WEIGHTS_URL", "")
    # The DAG passes the live version through a template, in which "nothing" may arrive as any of these words.
    if values["live_version"].lower() in {"none", "null", "0"}:
        values["live_version"] = ""
    return Settings(tracking_uri=os.environ["MLFLOW_TRACKING_URI"], run_id=os.environ["MLFLOW_RUN_ID"], **values)
