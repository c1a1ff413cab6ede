"""Proof of a candidate: what a rollout has to prove, and besides how long it takes and what memory it needs."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from lifecycle.errors import CandidateRefused, LifecycleError
from lifecycle.hooks.kubernetes import ClusterHook, endpoint
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import ProvedCandidate
from lifecycle.model.target import Target
from lifecycle.policy.candidate import Latency, why_too_big, why_too_slow
from lifecycle.settings import settings
from lifecycle.steps import proof

log = logging.getLogger(__name__)


def prove(target: Target, pin: Pin, live: Pin) -> ProvedCandidate:
    """Ask the candidate's server for identity and boxes, then by turns with the live one for the time that it takes.

    Raises:
        RolloutFailed: another version answers, its boxes are wrong, or nothing answers, as long as the setting says.
        CandidateRefused: it is too slow, or its server ended or came near its memory limit.
        RegistryError: the run has no images to verify with.
    """
    served = proof.prove(target.as_candidate, pin)
    latency = _latency(target, pin, live, served["url"])
    cluster = ClusterHook.from_settings()
    memory = _memory(cluster, target.as_candidate)
    _note(pin.run_id, latency, memory)
    for problem in (
        why_too_slow(latency, settings().candidate_max_slowdown),
        why_too_big(cluster.pods(target.as_candidate), memory),
    ):
        if problem:
            raise CandidateRefused(f"The candidate {pin.words} of {target.model} finds the right boxes, but {problem}.")
    return {
        **served,
        "latency_ms": latency.candidate_ms,
        "live_latency_ms": latency.live_ms,
        "memory_bytes": memory,
    }


def _latency(target: Target, pin: Pin, live: Pin, url: str) -> Latency:
    from lifecycle.verification import compare_latency

    with tempfile.TemporaryDirectory(prefix="verification-") as name:
        with MlflowHook.from_settings().session() as client:
            samples = runs.download(client, pin.run_id, names.VERIFICATION_FOLDER, Path(name))
        return compare_latency(url, _live_url(target, live), target.model, samples)


def _live_url(target: Target, live: Pin) -> str | None:
    """Where the live version answers; None: nothing is live, or it cannot be found, and a better one must not wait."""
    if live.version is None:
        return None
    try:
        return endpoint(target).url
    except LifecycleError as error:
        log.warning("The candidate is not compared with the live %s: %s", live.words, error)
        return None


def _memory(cluster: ClusterHook, target: Target) -> int | None:
    """Bytes; None where they cannot be had: many clusters have no metrics server, which is no fault of a version's."""
    try:
        return cluster.memory(target)
    except LifecycleError as error:
        log.warning("The candidate's memory was not measured: %s", error)
        return None


def _note(run_id: str, latency: Latency, memory: int | None) -> None:
    """Leave the figures in the log and in the MLflow run."""
    figures = {
        names.CANDIDATE_LATENCY: latency.candidate_ms,
        names.LIVE_LATENCY: latency.live_ms,
        names.CANDIDATE_MEMORY: memory,
    }
    with MlflowHook.from_settings().session() as client:
        for key, value in figures.items():
            if value is not None:
                client.log_metric(run_id, key, value)
    beside = "not compared" if latency.live_ms is None else f"{latency.live_ms:.1f} ms"
    used = "not measured" if memory is None else f"{memory / 2**20:.0f} MiB"
    log.info("%.1f ms for a picture (live version: %s); memory: %s", latency.candidate_ms, beside, used)
