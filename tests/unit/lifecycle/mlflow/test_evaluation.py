"""What `evaluate` measured, as the gate gets it."""

from __future__ import annotations

import pytest
from lifecycle.errors import RegistryError
from lifecycle.mlflow.evaluation import read_scores, verification_images
from mlflow.entities import Metric, Run, RunData, RunInfo

CANDIDATE, LIVE = {"mAP50": 0.9, "mAP50-95": 0.7}, {"mAP50": 0.8, "mAP50-95": 0.6}


def run(metrics: dict[str, float]) -> Run:
    info = RunInfo("r1", "1", "user", "RUNNING", 0, None, "active")
    return Run(info, RunData([Metric(key, value, 0, 0) for key, value in metrics.items()]))


def test_scores_are_read_from_the_run() -> None:
    found = run({"test/mAP50": 0.9, "test/mAP50-95": 0.7, "live/mAP50": 0.8, "live/mAP50-95": 0.6})
    assert read_scores(found, 3) == (CANDIDATE, LIVE)
    assert read_scores(found, None) == (CANDIDATE, None)


def test_live_version_of_other_classes_is_not_compared() -> None:
    found = run({"test/mAP50": 0.9, "test/mAP50-95": 0.7})
    found.data.tags["live_comparison"] = "not compared: version 3 of digits-detector knows other classes"
    assert read_scores(found, 3) == (CANDIDATE, None)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_missing_number_is_an_error_and_never_a_decision(value: float | None) -> None:
    metrics = {"test/mAP50": 0.9} if value is None else {"test/mAP50": 0.9, "test/mAP50-95": value}
    with pytest.raises(RegistryError, match=r"test/mAP50-95.*evaluate"):
        read_scores(run(metrics), None)


def test_missing_number_of_the_live_version_is_an_error() -> None:
    with pytest.raises(RegistryError, match="live/mAP50"):
        read_scores(run({"test/mAP50": 0.9, "test/mAP50-95": 0.7}), 3)


def test_number_of_verification_images_is_read_and_must_be_there() -> None:
    assert verification_images(run({"verification_images": 8})) == 8
    with pytest.raises(RegistryError, match="verification_images"):
        verification_images(run({}))


def test_a_classifiers_run_tells_its_own_figures() -> None:
    found = run({"test/top1": 0.97, "test/top5": 1.0, "live/top1": 0.95, "live/top5": 1.0})
    found.data.tags["task"] = "classify"
    assert read_scores(found, 3) == ({"top1": 0.97, "top5": 1.0}, {"top1": 0.95, "top5": 1.0})
    assert next(iter(read_scores(found, None)[0])) == "top1", "the gate decides on the first"
