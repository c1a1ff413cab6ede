"""Proof that a version is what answers: asked of Triton itself, with images whose boxes are known."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lifecycle import connections
from lifecycle.cluster.names import Target
from lifecycle.cluster.reads import Endpoint
from lifecycle.cluster.troubles import pod_troubles
from lifecycle.errors import LifecycleError, RolloutFailed
from lifecycle.registry import runs
from lifecycle.settings import settings

if TYPE_CHECKING:
    from lifecycle.verification import VerificationReport

log = logging.getLogger(__name__)
Result = TypeVar("Result")

SAMPLES = "verification"
PICTURE = "serving/detections.png"
POLL = 1.0


def endpoint(target: Target) -> Endpoint:
    """Where the model answers: the setting's URL, or its Service in the cluster."""
    chosen = settings()
    if not chosen.serving_url:
        return connections.cluster().endpoint(target)
    names = {"environment": target.environment, "app": target.app, "model": target.model}
    return Endpoint(chosen.serving_url.format(**names), chosen.serving_grpc_url.format(**names))


def prove(target: Target, *, version: int, sha256: str, run_id: str) -> dict[str, Any]:
    """Ask the server until it answers with the version, and compare its boxes with those of the training.

    Returns:
        `version`, `sha256`, `run_id`, `url`, `grpc_url`, `images`, `matched`.

    Raises:
        RolloutFailed: another version answers, its boxes are wrong, or nothing answers, as long as the setting says.
        RegistryError: the run has no images to verify with.
    """
    from lifecycle.verification import verify_served

    with tempfile.TemporaryDirectory(prefix="verification-") as name:
        folder = Path(name)
        with connections.mlflow().session() as client:
            samples = runs.download(client, run_id, SAMPLES, folder)
        address, report = _ask(target, version, lambda url: verify_served(url, target.model, version, sha256, samples))
        _keep(run_id, report, folder)
    log.info(
        "%s serves version %d: %d boxes in %d images as in training, %.2f s",
        *(address.url, version, report.boxes, report.images, report.seconds),
    )
    return {
        "version": version,
        "sha256": sha256,
        "run_id": run_id,
        "url": address.url,
        "grpc_url": address.grpc_url,
        "images": report.images,
        "matched": report.matched,
    }


def prove_identity(target: Target, *, version: int, sha256: str) -> Endpoint:
    """Ask the server until it says itself that it serves the version, whatever it finds in images.

    Raises:
        RolloutFailed: another version answers, or nothing answers, for as long as the setting says.
    """
    from yolo_client import Detector

    from lifecycle.verification import check_identity, typed_errors

    def ask(url: str) -> None:
        with typed_errors(), Detector(url, target.model) as detector:
            check_identity(detector.served(), version, sha256, url)

    return _ask(target, version, ask)[0]


def prove_absent(target: Target) -> None:
    """Wait until no pod of the model is left.

    Raises:
        RolloutFailed: there still are some after as long as the setting says.
    """
    deadline = time.monotonic() + settings().verify_timeout
    while pods := connections.cluster().pods(target):
        if time.monotonic() >= deadline:
            names = ", ".join(pod["metadata"]["name"] for pod in pods)
            raise RolloutFailed(
                f"No version of {target.model} should be served, and these pods are still there: {names}."
            )
        time.sleep(POLL)


def _ask(target: Target, version: int, question: Callable[[str], Result]) -> tuple[Endpoint, Result]:
    """Put a question to the server until it can be answered; only what time can mend is asked again."""
    from lifecycle.verification import WrongVersionServed

    deadline = time.monotonic() + settings().verify_timeout
    while True:
        try:
            address = endpoint(target)
            return address, question(address.url)
        except LifecycleError as error:
            passing = error.retryable or isinstance(error, WrongVersionServed)
            if not passing or time.monotonic() >= deadline:
                raise RolloutFailed(
                    f"{target.model} in {target.environment}/{target.app} does not serve version {version} as it "
                    f"should: {error}{_pods_say(target)}"
                ) from error
            log.info("Not yet: %s", error)
            time.sleep(POLL)


def _pods_say(target: Target) -> str:
    troubles = pod_troubles(connections.cluster().pods(target))
    return f" The serving pods say: {troubles}." if troubles else ""


def _keep(run_id: str, report: VerificationReport, folder: Path) -> None:
    """Leave a picture of what was found, and the outcome, in the MLflow run."""
    picture = folder / Path(PICTURE).name
    report.picture.save(picture)
    with connections.mlflow().session() as client:
        client.log_artifact(run_id, str(picture), str(Path(PICTURE).parent))
        client.set_tag(run_id, "served", f"{report.boxes} boxes in {report.images} images as in training")
