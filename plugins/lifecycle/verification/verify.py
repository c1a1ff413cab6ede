"""Asks the server itself whether the new version answers, and whether its answers are right.

The evaluation step keeps a few pictures with what the trained PyTorch model says of them (`verification/` of the
MLflow run). A rollout counts only when the served model says that it is the expected version and answers the same.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from yolo_client import Protocol, ServedModel
from yolo_client.draw import contact_sheet
from yolo_client.transport import Call, Transport

from lifecycle import kinds
from lifecycle.errors import WrongVersionServed
from lifecycle.kinds import Kind
from lifecycle.kinds.kind import Compared, Server
from lifecycle.kinds.samples import read_index
from lifecycle.model.pin import Pin
from lifecycle.verification.errors import typed_errors


@dataclass(frozen=True)
class VerificationReport:
    """A passed verification.

    Attributes:
        served: what answered, by its own account.
        details: one entry a picture.
        seconds: how long the server took for all answers.
        things: what was compared in the pictures.
    """

    served: ServedModel
    details: tuple[Compared, ...]
    seconds: float
    things: str = ""

    @property
    def images(self) -> int:
        """How many pictures were sent."""
        return len(self.details)

    @property
    def matched(self) -> int:
        """How many pictures came back with the expected answer: all of them, or there would be an error instead."""
        return len(self.details)

    @property
    def matches(self) -> int:
        """How much was compared, over all pictures: of a detector, boxes."""
        return sum(detail.matches for detail in self.details)

    @property
    def words(self) -> str:
        """What was compared: "12 boxes in 8 images"."""
        return f"{self.matches} {self.things} in {self.images} images"

    @property
    def picture(self) -> Image.Image:
        """The pictures with the served answers on them, side by side."""
        return contact_sheet([detail.picture(self.served) for detail in self.details])


def verify_served(
    url: str,
    model: str,
    expected: Pin,
    samples_dir: Path,
    *,
    protocol: Protocol = "http",
    timeout: float = 30.0,
) -> VerificationReport:
    """Sends the verification pictures and compares every answer.

    Args:
        url: Triton's address for the protocol.
        model: Triton's name of the model.
        expected: the version that must answer, with its checksum and its code.
        samples_dir: folder with `expected.json` and its pictures.
        protocol: `http` or `grpc`.
        timeout: seconds for one call.

    Raises:
        WrongVersionServed: another version, other bytes or other code answer, to any of the requests.
        AnswersDiffer: what is said of a picture is not what is expected; the message names it and the difference.
        ServingUnavailable, ServingError: nothing answers, or the server refuses the request.
        SamplesUnusable: the folder is not what the evaluation writes.
    """
    answers = kind_of_samples(samples_dir).answers
    wanted = answers.read_samples(samples_dir)
    with typed_errors(), answers.connect(url, model, protocol, timeout) as server:
        served = server.served()
        check_identity(served, expected, url)
        reports, started = [], time.perf_counter()
        for sample in wanted.samples:
            found, by = server.ask(sample, wanted)
            # Each answer says who gave it: behind a Service, another pod may answer the next request.
            check_identity(by, expected, url)
            reports.append(answers.compare(sample, found, wanted))
        seconds = time.perf_counter() - started
    return VerificationReport(served, tuple(reports), seconds, answers.THINGS)


def ask_served(url: str, model: str, protocol: Protocol = "http", timeout: float = 30.0) -> ServedModel:
    """Ask a server of any kind of model which version is loaded.

    Raises:
        ServingError: nothing answers, the server refuses, or it is no model of this project.
    """
    with typed_errors(), connect(url, model, protocol, timeout) as server:
        return server.served()


def connect(url: str, model: str, protocol: Protocol, timeout: float) -> Server:
    """A served model, whose kind its configuration tells."""
    transport, call = Transport(url, protocol, timeout), Call("get_model_config", model)
    try:
        answer: dict[str, Any] = transport.start(call)
    except Exception as error:
        if known := transport.explain(error, model):
            raise known from error
        raise
    finally:
        if client := transport.release():
            client.close()
    config = answer["config"] if protocol == "grpc" else answer
    outputs: Sequence[dict[str, Any]] = config.get("output") or ()
    kind = kinds.of_outputs([str(output["name"]) for output in outputs])
    return kind.answers.connect(url, model, protocol, timeout)


def kind_of_samples(folder: Path) -> Kind:
    """The kind of model that the pictures in `verification/` are of.

    Raises:
        SamplesUnusable: they do not tell.
    """
    return read_index(folder, lambda told: kinds.find(str(told.get(kinds.TAG, kinds.DEFAULT))))


def check_identity(served: ServedModel, pin: Pin, url: str) -> None:
    """Raises WrongVersionServed unless this version, with this checksum and this code, is what answers.

    A server whose code is not from Git (from its image, a bucket, a claim) tells no commit, and none is asked of it.
    """
    if served.version != pin.number:
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {served.version}, but version {pin.number} is expected: the rollout "
            "has not reached this address, or the values file was changed since"
        )
    if served.sha256 != pin.sha256:
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {pin.number} with sha256 {served.sha256}, but {pin.sha256} is "
            "expected: the file in MLflow or the values file was changed; register the model again and promote that "
            "version"
        )
    if pin.code_commit and served.code_commit not in ("", pin.code_commit):
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {pin.number} with the code of {served.code_commit[:12]}, but that "
            f"of {pin.code_commit[:12]} is expected: the rollout has not reached this address, or the values file was "
            "changed since"
        )
