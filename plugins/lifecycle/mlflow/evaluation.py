"""What `evaluate` measured, read from the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle import kinds
from lifecycle.mlflow.runs import required_metric
from lifecycle.model import names
from lifecycle.policy.gate import Scores

if TYPE_CHECKING:
    from mlflow.entities import Run

EVALUATE = "evaluate"
# How the tag `live_comparison` begins where `evaluate` could not compare, as with a model of other classes.
NOT_COMPARED = "not compared"


def read_scores(run: Run, live_version: int | None) -> tuple[Scores, Scores | None]:
    """Read the candidate's scores, and those of the live version if there is one that can be compared.

    Raises:
        RegistryError: a number is missing, so that nothing may be decided.
    """
    comparable = not run.data.tags.get(names.LIVE_COMPARISON, "").startswith(NOT_COMPARED)
    live = _scores(run, names.LIVE_SPLIT) if live_version is not None and comparable else None
    return _scores(run, names.CANDIDATE_SPLIT), live


def verification_images(run: Run) -> float:
    """Read on how many images the server of the candidate can be checked.

    Raises:
        RegistryError: the number is missing.
    """
    return required_metric(run, names.VERIFICATION_IMAGES, EVALUATE)


def _scores(run: Run, split: str) -> Scores:
    kind = kinds.tagged(run.data.tags)
    return {name: required_metric(run, names.metric(split, name), EVALUATE) for name in kind.figures}
