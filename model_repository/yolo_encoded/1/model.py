"""Takes pictures as files and gives boxes in their pixels; the tensor model on the same server finds them.

What it takes and gives is in config.pbtxt; the parts are in encoded_images/.
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

# See the file __pycache__.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from encoded_images.decode import PictureError, decode  # noqa: E402
from encoded_images.letterbox import Target, letterbox  # noqa: E402
from encoded_images.memory import keep_freed_memory  # noqa: E402
from encoded_images.metrics import Errors  # noqa: E402

SUFFIX = "_encoded"
WORKERS = 4
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


class Job:
    """One request, whose pictures several threads work on."""

    def __init__(self, request: Any) -> None:
        """Reads it.

        Raises:
            RequestError: a threshold is none.
        """
        self.wanted = request.requested_output_names()
        self.pictures = pb_utils.get_input_tensor_by_name(request, "encoded").as_numpy().reshape(-1)
        self.thresholds = _thresholds(json.loads(request.parameters() or "{}"))
        self.rows = [np.zeros((0, 6), np.float32)] * len(self.pictures)
        self._errors: dict[int, RequestError] = {}
        self._left = len(self.pictures)
        self._lock = threading.Lock()

    @property
    def error(self) -> RequestError | None:
        """Of the first picture that has one."""
        return self._errors[min(self._errors)] if self._errors else None

    def put(self, number: int, found: np.ndarray | RequestError) -> bool:
        """Notes what was found in a picture; whether it was the last one."""
        with self._lock:
            if isinstance(found, RequestError):
                self._errors[number] = found
            else:
                self.rows[number] = found
            self._left -= 1
            return not self._left


class Outbox:
    """Takes the responses of an execution, from any thread, to Triton.

    They are sent when they are there, so that none waits for another one. A lone one goes by the return of `execute`
    instead, which saves two messages between Triton's process and this one.
    """

    def __init__(self, requests: list[Any]) -> None:
        """Takes the requests as Triton gave them."""
        self._senders = [request.get_response_sender() for request in requests] if len(requests) > 1 else []
        self.returned: list[Any] | None = None

    def put(self, index: int, response: Any) -> None:
        """The only response to request `index`."""
        if self._senders:
            self._senders[index].send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        else:
            self.returned = [response]


class TritonPythonModel:
    """One instance of the model, in a process of its own."""

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
        # More than there are processors to decode on: the others wait for their boxes.
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="pictures")
        self._info = np.zeros((1, 0), np.uint8)
        self._target: Target | None = None
        self._errors: Errors | None = Errors(pb_utils, name)

    def finalize(self) -> None:
        """Ends the decoding threads, and takes the model's series out of Triton's metrics."""
        self._pool.shutdown()
        self._errors = None

    def execute(self, requests: list[Any]) -> list[Any] | None:
        """Answers each request with a response or an error of its own, as soon as its last picture is done."""
        outbox = Outbox(requests)
        work: list[tuple[int, Job, int]] = []
        for index, request in enumerate(requests):
            try:
                target = self._target or self._ask_target()
                job = Job(request)
                work += [(index, job, number) for number in range(len(job.pictures))]
            except RequestError as error:
                outbox.put(index, self._failure(error))

        def find(entry: tuple[int, Job, int]) -> None:
            index, job, number = entry
            if job.put(number, self._found(target, job, number)):
                outbox.put(index, self._failure(job.error) if job.error else self._response(job))

        if len(work) == 1:
            find(work[0])
        else:
            list(self._pool.map(find, work))
        return outbox.returned

    def _found(self, target: Target, job: Job, number: int) -> np.ndarray | RequestError:
        try:
            return self._rows(target, job, number)
        except RequestError as error:
            return error

    def _rows(self, target: Target, job: Job, number: int) -> np.ndarray:
        """Rows (n, 6) of one picture, in its own pixels.

        Raises:
            RequestError: it cannot be decoded, and the message says which picture and why; or the tensor model refuses.
        """
        try:
            boxed = letterbox(decode(job.pictures[number], self._max_pixels), target)
        except PictureError as error:
            several = len(job.pictures) > 1
            which = f"picture {number + 1} of {len(job.pictures)}" if several else "the picture"
            raise RequestError(f"{which} {error}") from error
        answer = self._ask(boxed.pixels[None], OUTPUTS, job.thresholds)
        self._notice(answer["model_info"])
        return boxed.to_original(answer["detections"][0, : int(answer["num_detections"][0, 0])])

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

    def _response(self, job: Job) -> Any:
        counts = np.array([[len(rows)] for rows in job.rows], np.int32)
        padded = np.zeros((len(job.rows), int(counts.max()), 6), np.float32)
        for place, rows in zip(padded, job.rows, strict=True):
            place[: len(rows)] = rows
        info = np.repeat(self._info, len(job.rows), axis=0)
        tensors = (("detections", padded), ("num_detections", counts), ("model_info", info))
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, value) for name, value in tensors if name in job.wanted]
        )


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
