"""Takes pictures as files and gives boxes in their pixels; the tensor model on the same server finds them.

What it takes and gives is in config.pbtxt; the parts are in encoded_images/.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

# See the file __pycache__.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from encoded_images.decode import PictureError, decode  # noqa: E402
from encoded_images.letterbox import Boxed, Target, letterbox  # noqa: E402
from encoded_images.memory import keep_freed_memory  # noqa: E402
from encoded_images.metrics import Errors  # noqa: E402

SUFFIX = "_encoded"
PROBE = np.zeros((1, 3, 32, 32), np.uint8)
OUTPUTS = ["detections", "num_detections", "model_info"]


class RequestError(Exception):
    """One request cannot be answered; the message goes to the client that sent it, with Triton's code of the error.

    `reason` is what it is counted as in the metrics; None: the tensor model has counted it already.
    """

    def __init__(self, message: str, code: Any = None, reason: str | None = "INVALID_ARG") -> None:
        super().__init__(message)
        self.code = pb_utils.TritonError.INVALID_ARG if code is None else code
        self.reason = reason


@dataclass
class Job:
    """One request: its pictures, thresholds, and the rows found so far (one entry a picture)."""

    boxed: list[Boxed]
    thresholds: dict[str, str]
    rows: list[np.ndarray]


class TritonPythonModel:
    """One instance of the model, in a separate process."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the settings; the tensor model is asked for its size when the first picture comes."""
        keep_freed_memory()
        parameters = json.loads(args["model_config"]).get("parameters", {})
        name = args["model_name"]
        told = parameters.get("target", {}).get("string_value", "")
        self._target_name = told or name.removesuffix(SUFFIX)
        if self._target_name == name:
            raise pb_utils.TritonModelException(
                f"{name} does not know which model to ask: call it <model>{SUFFIX}, or set its parameter `target`"
            )
        # 40 million pixels take 120 MB once decoded.
        self._max_pixels = int(float(os.environ.get("MODEL_MAX_PIXELS", "") or 40e6))
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="decode")
        self._info = np.zeros((1, 0), np.uint8)
        self._target: Target | None = None
        self._errors: Errors | None = Errors(pb_utils, name)

    def finalize(self) -> None:
        """Ends the decoding threads, and takes the model's series out of Triton's metrics."""
        self._pool.shutdown()
        self._errors = None

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers the requests, each with a response or an error of its own, in their order."""
        try:
            target = self._target or self._ask_target()
        except RequestError as error:
            return [self._failure(error) for _ in requests]
        jobs: dict[int, Job] = {}
        failures: dict[int, Any] = {}
        for index, request in enumerate(requests):
            try:
                jobs[index] = self._job(request, target)
            except RequestError as error:
                failures[index] = self._failure(error)
        for members in _groups(jobs).values():
            try:
                self._find(members)
            except RequestError as error:
                for job, _ in members:
                    number = next(index for index, other in jobs.items() if other is job)
                    if number not in failures:  # once for each request, however many pictures it has
                        failures[number] = self._failure(error)
        return [
            failures[index] if index in failures else self._response(request, jobs[index])
            for index, request in enumerate(requests)
        ]

    def _job(self, request: Any, target: Target) -> Job:
        """Decodes the pictures of one request.

        Raises:
            RequestError: one of them cannot be; the message says which and why.
        """
        pictures = pb_utils.get_input_tensor_by_name(request, "encoded").as_numpy().reshape(-1)
        thresholds = _thresholds(json.loads(request.parameters() or "{}"))

        def prepare(entry: tuple[int, bytes]) -> Boxed:
            try:
                return letterbox(decode(entry[1], self._max_pixels), target)
            except PictureError as error:
                which = "the picture" if len(pictures) == 1 else f"picture {entry[0] + 1} of {len(pictures)}"
                raise RequestError(f"{which} {error}") from error

        numbered = list(enumerate(pictures))
        boxed = [prepare(numbered[0])] if len(numbered) == 1 else list(self._pool.map(prepare, numbered))
        return Job(boxed, thresholds, [np.zeros((0, 6), np.float32)] * len(boxed))

    def _find(self, members: list[tuple[Job, int]]) -> None:
        """Asks for the boxes of pictures of one shape with the same thresholds, in one request."""
        pixels = [job.boxed[number].pixels for job, number in members]
        images = np.stack(pixels) if len(pixels) > 1 else pixels[0][None]
        answer = self._ask(images, OUTPUTS, members[0][0].thresholds)
        self._notice(answer["model_info"])
        for (job, number), rows, count in zip(members, answer["detections"], answer["num_detections"], strict=True):
            job.rows[number] = job.boxed[number].to_original(rows[: int(count[0])])

    def _ask_target(self) -> Target:
        """Asks the tensor model what it takes."""
        return self._notice(self._ask(PROBE, ["model_info"], {})["model_info"])

    def _notice(self, info: np.ndarray) -> Target:
        """Keeps what the tensor model says of itself; it may be another version since the last request."""
        if self._target is None or not np.array_equal(info[0], self._info[0]):
            told = json.loads(info[0].tobytes())
            self._target = Target(
                told["image_size"], told["stride"], told["height"], told["width"], told["end_to_end_rows"]
            )
            self._info = info[:1]
        return self._target

    def _ask(self, images: np.ndarray, outputs: list[str], thresholds: dict[str, str]) -> dict[str, np.ndarray]:
        """One request to the tensor model, within this server.

        Raises:
            RequestError: it is not ready, or refuses; with its own message.
        """
        request = pb_utils.InferenceRequest(
            model_name=self._target_name,
            inputs=[pb_utils.Tensor("pixels", images)],
            requested_output_names=outputs,
            parameters=thresholds,
        )
        response = request.exec()
        if response.has_error():
            # One that is not there counts nothing.
            counted = pb_utils.is_model_ready(model_name=self._target_name)
            reason = None if counted else "INTERNAL"
            raise RequestError(response.error().message(), response.error().code(), reason)
        return {name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs}

    def _failure(self, error: RequestError) -> Any:
        if self._errors and error.reason:
            self._errors.count(error.reason)
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), error.code))

    def _response(self, request: Any, job: Job) -> Any:
        wanted = request.requested_output_names()
        counts = np.array([[len(rows)] for rows in job.rows], np.int32)
        padded = np.zeros((len(job.rows), int(counts.max()), 6), np.float32)
        for place, rows in zip(padded, job.rows, strict=True):
            place[: len(rows)] = rows
        info = np.repeat(self._info, len(job.rows), axis=0)
        tensors = (("detections", padded), ("num_detections", counts), ("model_info", info))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in tensors if name in wanted])


def _groups(jobs: dict[int, Job]) -> dict[tuple[Any, ...], list[tuple[Job, int]]]:
    """Pictures that can go into one request: of one shape, with the same thresholds."""
    groups: dict[tuple[Any, ...], list[tuple[Job, int]]] = {}
    for job in jobs.values():
        for number, boxed in enumerate(job.boxed):
            key = (boxed.pixels.shape, tuple(sorted(job.thresholds.items())))
            groups.setdefault(key, []).append((job, number))
    return groups


def _thresholds(parameters: dict[str, Any]) -> dict[str, str]:
    """The thresholds of a request, to hand on as text.

    Raises:
        RequestError: one is not a number from 0 to 1.
    """
    found: dict[str, str] = {key: str(parameters[key]) for key in ("confidence", "iou") if key in parameters}
    for key, text in found.items():
        try:
            good = 0 <= float(text) <= 1
        except ValueError:
            good = False
        if not good:
            raise RequestError(f"the parameter {key!r} is {text!r}, but must be a number from 0 to 1")
    return found
