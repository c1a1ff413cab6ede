"""Proof that a version is what answers: asked of Triton itself, with images whose answers are known."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lifecycle.errors import LifecycleError, RolloutFailed
from lifecycle.hooks.kubernetes import ClusterHook, endpoint
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import ServedVersion
from lifecycle.model.target import Endpoint, Target
from lifecycle.policy.pods import pod_troubles
from lifecycle.settings import settings

if TYPE_CHECKING:
    from lifecycle.verification import VerificationReport

log = logging.getLogger(__name__)
Result = TypeVar("Result")

POLL = 1.0
# Seconds that a TrainedModel may need besides: KServe's agent learns of it from a ConfigMap, which the kubelet brings
# to a pod that is there when it next synchronises it, after a minute and a half at the latest; then it loads.
IN_PLACE = 120


def prove(target: Target, pin: Pin) -> ServedVersion:
    """Ask the server until it answers with the version, and compare its answers with those of the training.

    Raises:
        RolloutFailed: another version answers, its answers are wrong, or nothing answers, as long as the setting says.
        RegistryError: the run has no images to verify with.
    """
    from lifecycle.verification import verify_served

    with tempfile.TemporaryDirectory(prefix="verification-") as name:
        folder = Path(name)
        with MlflowHook.from_settings().session() as client:
            samples = runs.download(client, pin.run_id, names.VERIFICATION_FOLDER, folder)
        address, report = ask(target, pin, lambda url: verify_served(url, target.model, pin, samples))
        _keep(pin.run_id, report, folder)
    log.info(
        "%s serves %s: %s as in training, %.2f s",
        *(address.url, pin.words_with_code, report.words, report.seconds),
    )
    if pin.code_commit and not report.served.code_commit:
        log.warning("%s does not tell the commit of its code, which is not from Git there", address.url)
    return {
        **pin.version_xcom(),
        "url": address.url,
        "grpc_url": address.grpc_url,
        "images": report.images,
        "matched": report.matched,
    }


def prove_identity(target: Target, pin: Pin) -> Endpoint:
    """Ask the server until it says itself that it serves the version, whatever it finds in images.

    Raises:
        RolloutFailed: another version answers, or nothing answers, for as long as the setting says.
    """
    from lifecycle.verification import ask_served, check_identity

    def identity(url: str) -> None:
        check_identity(ask_served(url, target.model), pin, url)

    return ask(target, pin, identity)[0]


def prove_absent(target: Target) -> None:
    """Wait until no pod of the model is left.

    Raises:
        RolloutFailed: there still are some after as long as the setting says.
    """
    deadline = time.monotonic() + settings().verify_timeout
    while pods := ClusterHook.from_settings().pods(target):
        if time.monotonic() >= deadline:
            there = ", ".join(pod["metadata"]["name"] for pod in pods)
            raise RolloutFailed(
                f"No version of {target.component} should be served, and these pods are still there: {there}."
            )
        time.sleep(POLL)


def ask(target: Target, pin: Pin, question: Callable[[str], Result]) -> tuple[Endpoint, Result]:
    """Put a question to the server until it can be answered; only what time can fix is asked again."""
    from lifecycle.verification import WrongVersionServed

    deadline, waits_for_agent = time.monotonic() + settings().verify_timeout, False
    while True:
        try:
            address = endpoint(target)
            answer = question(address.url)
            for url in [] if settings().serving_url else ClusterHook.from_settings().replicas(target):
                answer = question(url)
            return address, answer
        except LifecycleError as error:
            passing = error.retryable or isinstance(error, WrongVersionServed)
            if passing and time.monotonic() >= deadline and not waits_for_agent:
                waits_for_agent = True
                deadline += _more_time(target)
            if not passing or time.monotonic() >= deadline:
                raise RolloutFailed(
                    f"{target.model} in {target.environment}/{target.app} does not serve {pin.words} as it should: "
                    f"{error}{_pods_say(target)}"
                ) from error
            log.info("Not yet: %s", error)
            time.sleep(POLL)


def _more_time(target: Target) -> float:
    """Seconds that a server may still need; a cluster that does not tell must not hide why the proof failed."""
    try:
        return IN_PLACE if ClusterHook.from_settings().is_trained_model(target) else 0
    except LifecycleError as error:
        log.info("Whether KServe's agent is still to load the model is not known: %s", error)
        return 0


def _pods_say(target: Target) -> str:
    troubles = pod_troubles(ClusterHook.from_settings().pods(target))
    return f" The serving pods say: {troubles}." if troubles else ""


def _keep(run_id: str, report: VerificationReport, folder: Path) -> None:
    """Leave a picture of what was found, and the outcome, in the MLflow run."""
    where = Path(names.DETECTIONS_PICTURE)
    picture = folder / where.name
    report.picture.save(picture)
    with MlflowHook.from_settings().session() as client:
        client.log_artifact(run_id, str(picture), str(where.parent))
        client.set_tag(run_id, names.SERVED, f"{report.words} as in training")
