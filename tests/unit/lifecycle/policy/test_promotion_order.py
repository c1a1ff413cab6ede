"""Which stage follows which, and whose version is the champion."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.catalog import stages_of
from lifecycle.errors import BadParameter
from lifecycle.pipelines import Pipeline
from lifecycle.policy.promotion import Shown, side_by_side
from lifecycle.policy.stages import is_last, neighbours

from tests.support.pipelines import letters


def stage(environment: str) -> Any:
    return {"environment": environment, "app": "detector", "served_model": "letters", "delivery": ""}


PIPELINES = {"letters": [stage("dev"), stage("staging"), stage("production")]}


def test_two_stages_that_follow_each_other_are_found() -> None:
    assert neighbours(PIPELINES, "letters", "staging", "production") == (stage("staging"), stage("production"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("digits", "staging", "production"), "no pipeline 'digits'; there are: letters"),
        (("letters", "qa", "production"), "'qa' is no stage of letters; its stages are: dev, staging, production"),
        (("letters", "dev", "production"), "production does not follow dev in letters: dev → staging → production"),
        (("letters", "production", "staging"), "to go back, use yolo_rollback"),
        (("letters", "dev", "dev"), "dev does not follow dev"),
    ],
)
def test_others_are_refused_in_a_sentence(asked: tuple[str, str, str], said: str) -> None:
    with pytest.raises(BadParameter, match="Nothing was committed") as refused:
        neighbours(PIPELINES, *asked)
    assert said in str(refused.value)


def test_the_champion_is_the_last_stages() -> None:
    where = [{"environment": name, "app": "detector", "model": "letters"} for name in ("staging", "production")]
    stages = stages_of([Pipeline.model_validate(letters(stages=where))])
    assert is_last(stages, "production/detector/letters", "letters-detector")
    assert not is_last(stages, "staging/detector/letters", "letters-detector")
    assert not is_last(stages, "qa/detector/letters", "letters-detector"), "a run that a person sent elsewhere"
    assert is_last(stages, "qa/detector/other", "other-detector"), "a model without a pipeline"


def test_versions_are_side_by_side_and_a_cell_stays_a_cell() -> None:
    new = Shown(7, "a" * 32, {"mAP50": 0.91, "mAP50-95": None}, "s3://x|y`z", "d" * 64, "letters/run-1")
    table = side_by_side(new, None, "staging", "production").splitlines()
    assert table[0] == "| | from staging: version 7 | live in production: nothing is live |"
    assert {line.count("|") for line in table} == {4}
    assert "| mAP50 | 0.9100 | – |" in table
    assert f"| answers | ![version 7](lifecycle/picture?run_id={'a' * 32}) | – |" in table
    live = Shown(6, "b" * 32, {"mAP50": 0.9, "mAP50-95": 0.5}, "digits", "e" * 64, "letters/run-0")
    assert "| mAP50 | 0.9100 | 0.9000 |" in side_by_side(new, live, "staging", "production")
