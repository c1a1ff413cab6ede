"""Releases that do not go live: one that the gate rejects, and one that no server can load while clients ask."""

from __future__ import annotations

import shutil
import threading

import pytest

from tests.e2e.clients import Asking
from tests.e2e.platform_under_test import TINY, Platform

pytestmark = [pytest.mark.slow, pytest.mark.extended, pytest.mark.xdist_group("digits")]


def test_version_below_the_least_map_is_not_promoted_and_the_gate_says_why(platform: Platform) -> None:
    tip, versions, served, report = platform.tip(), platform.versions(), platform.served(), platform.report()
    demo = platform.make("demo", {**TINY, "min_map50": 0.999})
    assert "Error 3" in demo.stderr, "rejected, which is not failed: 1"
    said = demo.stderr[: demo.stderr.index("The new version is not live; what was live before still is.")]
    assert "gate rejected the candidate: " in said and "0.999" in said
    assert "::group::" not in demo.stderr and "skipped" not in said
    assert (platform.tip(), platform.versions(), platform.served()) == (tip, versions, served)
    assert platform.report() == report


def test_version_that_cannot_be_served_is_taken_back_while_the_old_one_answers(platform: Platform) -> None:
    urls, before = platform.report()["urls"], platform.git("show", "main:argocd-apps/staging/detector/values.yaml")
    version = platform.served()
    with Asking(urls["triton"], urls["triton_grpc"], 160) as asking:
        loser = threading.Thread(target=lose_the_next_model, args=(platform,))
        loser.start()
        run, state = platform.finish(platform.next_release())
        loser.join()
    tasks = platform.tasks(run)
    assert state == "failed"
    assert (tasks["promote"], tasks["wait_for_rollout"], tasks["restore"]) == ("success", "failed", "failed"), tasks
    log = platform.log(run, "restore")
    assert "digits-detector" in log and f"version {version}" in log
    assert "its server ends again and again" in platform.log(run, "wait_for_rollout")
    assert platform.git("show", "main:argocd-apps/staging/detector/values.yaml") == before
    assert "Reverts: " in platform.git("show", "-s", "--format=%B", platform.tip())
    assert platform.served() == version
    assert not asking.failures, asking.failures[:5]


def lose_the_next_model(platform: Platform) -> None:
    """Remove a version's file from MLflow's artifact store as soon as the version is registered."""
    model_id = platform.next_version()["source"].removeprefix("models:/")
    for found in (platform.home / "mlflow" / "artifacts").glob(f"*/models/{model_id}"):
        shutil.rmtree(found)
