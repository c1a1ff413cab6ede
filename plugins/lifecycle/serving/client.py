"""A typed client of the served detector, for HTTP and gRPC.

with Detector("http://127.0.0.1:8000", "digits") as detector:
    rows = detector.detect([picture])[0]      # (n, 6): x1, y1, x2, y2, confidence, class, in the picture's pixels
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from lifecycle.serving.errors import LifecycleError, NotServing, RequestRefused
from lifecycle.serving.letterbox import Floats, Pixels, letterbox
from lifecycle.serving.served import ServedModel, check_against_config, parse_model_info

Protocol = Literal["http", "grpc"]

# The smallest picture that every request needs; nothing is inferred when model_info alone is asked for.
PROBE = np.zeros((1, 3, 32, 32), np.float32)


@dataclass(frozen=True)
class Answer:
    """One answer to a batch: for each image the rows (n, 6) in input pixels, and which model gave them."""

    rows: list[Floats]
    served: ServedModel


class Detector:
    """One served model. Not for use by several threads at once.

    Args:
        url: `http://host:port`, `https://host:port` or `host:port`; the port of the chosen protocol.
        model: Triton's name of the model.
        protocol: `http` or `grpc`.
        timeout: seconds for one call.

    Every method raises NotServing where nothing (ready) answers in time, and RequestRefused where the server says what
    is wrong with the request.
    """

    def __init__(self, url: str, model: str, protocol: Protocol = "http", timeout: float = 30.0) -> None:
        if protocol not in ("http", "grpc"):
            raise ValueError(f"protocol is {protocol!r}, but must be 'http' or 'grpc'")
        self.url = url
        self.model = model
        self.protocol = protocol
        self._timeout = timeout
        self._module, self._client = _connect(url, protocol, timeout)
        self._served: ServedModel | None = None
        self._max_batch = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def ready(self) -> bool:
        """Whether the model can answer now; False too where nothing listens."""
        try:
            return bool(self._call("is_model_ready", self.model))
        except LifecycleError:
            return False

    def config(self) -> dict[str, Any]:
        """Triton's configuration of the model, as a JSON object."""
        if self.protocol == "http":
            answer: dict[str, Any] = self._call("get_model_config", self.model)
            return answer
        wrapped: dict[str, Any] = self._call("get_model_config", self.model, as_json=True)
        return wrapped["config"]

    def served(self) -> ServedModel:
        """Asks which version is loaded, and checks that the model's configuration says the same.

        Raises:
            WrongModelServed: it does not, or what answers is no detector of ours.
        """
        answer = self._infer(PROBE, {}, ["model_info"])
        told = parse_model_info(answer.as_numpy("model_info"))
        config = self.config()
        check_against_config(told, config)
        self._max_batch = int(config.get("max_batch_size", 0))
        self._served = told
        return told

    def detect(
        self,
        images: Sequence[Pixels],
        size: int | tuple[int, int] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
    ) -> list[Floats]:
        """Finds objects in pictures of any sizes.

        Args:
            images: RGB, uint8, (height, width, 3) each.
            size: side (or height and width) to letterbox to, a multiple of 32; None: what the model was trained for.
            confidence: least confidence, 0-1; None: the server's own.
            iou: overlap above which one of two boxes goes, 0-1; None: the server's own.

        Returns:
            For each picture (n, 6): x1, y1, x2, y2 in its own pixels, confidence, class; most confident first.
        """
        served = self._served or self.served()
        found: list[Floats] = []
        for batch in _batches(images, self._max_batch or 1):
            boxed = [letterbox(image, size or served.image_size) for image in batch]
            answer = self.infer(np.stack([tensor for tensor, _ in boxed]), confidence, iou)
            found += [place.to_original(rows) for rows, (_, place) in zip(answer, boxed, strict=True)]
        return found

    def detect_encoded(
        self, pictures: Sequence[bytes], confidence: float | None = None, iou: float | None = None
    ) -> list[Floats]:
        """Finds objects in picture files (JPEG, PNG, WebP), for a model made from model_repository/yolo_encoded.

        Args:
            pictures: the bytes of each file.
            confidence, iou: as in `detect`.

        Returns:
            For each picture the rows (n, 6), boxes in pixels of the upright picture; most confident first.
        """
        if not self._max_batch:
            self._max_batch = int(self.config().get("max_batch_size", 0)) or 1
        found: list[Floats] = []
        for start in range(0, len(pictures), self._max_batch):
            batch = np.array([[content] for content in pictures[start : start + self._max_batch]], dtype=np.object_)
            entry = self._module.InferInput("encoded", list(batch.shape), "BYTES")
            entry.set_data_from_numpy(batch)
            found += _rows(self._send(entry, _thresholds(confidence, iou), ["detections", "num_detections"]))
        return found

    def infer(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> list[Floats]:
        """Sends one batch of letterboxed images, (n, 3, height, width), 0-1.

        Returns:
            For each image the rows (n, 6), boxes in pixels of the letterboxed image and not clipped to it.
        """
        return _rows(self._infer(tensor, _thresholds(confidence, iou), ["detections", "num_detections"]))

    def infer_and_tell(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> Answer:
        """The same, and in the same answer which version gave it: behind a Service, each may come from another pod."""
        answer = self._infer(tensor, _thresholds(confidence, iou), ["detections", "num_detections", "model_info"])
        return Answer(_rows(answer), parse_model_info(answer.as_numpy("model_info")))

    def _infer(self, tensor: Floats, parameters: dict[str, float], outputs: Sequence[str]) -> Any:
        entry = self._module.InferInput("images", list(tensor.shape), "FP32")
        entry.set_data_from_numpy(np.ascontiguousarray(tensor, np.float32))
        return self._send(entry, parameters, outputs)

    def _send(self, entry: Any, parameters: dict[str, float], outputs: Sequence[str]) -> Any:
        wanted = [self._module.InferRequestedOutput(name) for name in outputs]
        # As text: the two protocols differ in which numbers they carry as parameters.
        texts = {key: repr(float(value)) for key, value in parameters.items()}
        return self._call("infer", self.model, [entry], outputs=wanted, parameters=texts or None)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Calls tritonclient and turns its errors into ours."""
        from tritonclient.utils import InferenceServerException

        if self.protocol == "grpc":
            options["client_timeout"] = self._timeout
        try:
            return getattr(self._client, method)(*arguments, **options)
        except InferenceServerException as error:
            raise _translate(error, self.model, self.url) from error
        except OSError as error:  # refused, reset, timed out: HTTP's client lets these through
            raise NotServing(
                f"no answer from Triton at {self.url} ({error}): check the address, and that the server of model "
                f"{self.model!r} is up"
            ) from error


def _connect(url: str, protocol: Protocol, timeout: float) -> tuple[Any, Any]:
    """tritonclient's module and client for an address; imported here because each brings a large library."""
    scheme, _, address = url.rpartition("://")
    address = address.rstrip("/")
    secure = scheme in ("https", "grpcs")
    if protocol == "http":
        import tritonclient.http as http

        return http, http.InferenceServerClient(
            address, ssl=secure, connection_timeout=timeout, network_timeout=timeout
        )
    import tritonclient.grpc as grpc

    return grpc, grpc.InferenceServerClient(address, ssl=secure)


def _translate(error: Any, model: str, url: str) -> LifecycleError:
    """tritonclient's one exception type to ours: can the same request succeed later, or not."""
    status, message = str(error.status() or ""), str(error.message() or "").strip()
    away = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "NOT_FOUND", "404", "502", "503", "504", "499")
    not_loaded = "unknown model" in message or "is not ready" in message or "no available versions" in message
    if not_loaded or any(mark in status for mark in away):
        return NotServing(
            f"model {model!r} at {url} does not answer ({message or status}): check the model's name, and its server's "
            "log for why it is not ready"
        )
    return RequestRefused(f"model {model!r} at {url} refused the request ({status}): {message}")


def _thresholds(confidence: float | None, iou: float | None) -> dict[str, float]:
    """The request parameters that are set."""
    return {key: value for key, value in (("confidence", confidence), ("iou", iou)) if value is not None}


def _rows(answer: Any) -> list[Floats]:
    """Cuts the padding off each image's rows."""
    counts: NDArray[np.int32] = answer.as_numpy("num_detections").reshape(-1)
    return [each[:count] for each, count in zip(answer.as_numpy("detections"), counts, strict=True)]


def _batches(images: Sequence[Pixels], most: int) -> Iterator[Sequence[Pixels]]:
    for start in range(0, len(images), most):
        yield images[start : start + most]
