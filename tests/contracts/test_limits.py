"""Limits that parts which must not import each other have in common: each has its own copy, and they agree."""

from __future__ import annotations

import pytest
from lifecycle.policy.retries import BAD_INPUT

from tests.contracts.sources import ROOT, SERVER, TRAINER, YOLO, constant

VERIFY = ROOT / "plugins/lifecycle/verification/verify.py"


@pytest.mark.parametrize("name", ["MOST_DROP", "FLAGS"])
def test_the_trainer_measures_what_the_server_may_choose(name: str) -> None:
    assert constant(TRAINER / "precision.py", name) == constant(SERVER / "choose.py", name)


def test_the_trainer_measures_in_the_precisions_that_openvino_serves() -> None:
    served = constant(SERVER / "runners.py", "OPENVINO_PRECISIONS")
    assert constant(TRAINER / "precision.py", "HINTS").items() <= served.items()


def test_the_check_of_the_server_leaves_twice_the_room_that_its_images_were_chosen_with() -> None:
    chosen = TRAINER / "verification.py"
    assert 1 - constant(VERIFY, "LEAST_IOU") == pytest.approx(2 * (1 - constant(chosen, "LEAST_IOU")))
    assert constant(VERIFY, "CONFIDENCE_TOLERANCE") == pytest.approx(2 * constant(chosen, "SCORE_TOLERANCE"))


def test_the_trainer_takes_for_a_detection_what_the_server_does_by_default() -> None:
    trainer, settings = TRAINER / "detection.py", SERVER / "settings.py"
    assert constant(trainer, "CONFIDENCE") == constant(settings, "Settings.confidence")
    assert constant(trainer, "IOU") == constant(settings, "Settings.iou")
    assert constant(trainer, "MOST_DETECTIONS") == constant(YOLO / "detector/postprocess.py", "MAX_DETECTIONS")


def test_wrong_input_ends_the_trainer_with_the_exit_code_that_airflow_does_not_retry() -> None:
    assert constant(TRAINER / "errors.py", "InputError.exit_status") == BAD_INPUT
    assert constant(TRAINER / "errors.py", "TrainerError.exit_status") != BAD_INPUT
