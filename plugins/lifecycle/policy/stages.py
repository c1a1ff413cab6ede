"""The order of stages: which is the last, and which one follows another. Pure functions over a pipeline's stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.errors import BadParameter
from lifecycle.model.results import StageDict, StagesDict


def is_last(stages: StagesDict, entry: str, registered_model: str) -> bool:
    """Whether what is live in an entry is the champion: the entry is its pipeline's last stage.

    An entry of no pipeline is the champion's where no pipeline makes versions of the registered model either.
    """
    return stages["entries"].get(entry, registered_model not in stages["registered_models"])


def neighbours(
    pipelines: Mapping[str, Sequence[StageDict]], pipeline: str, source: str, to: str
) -> tuple[StageDict, StageDict]:
    """The two stages of a pipeline, by their environments.

    Raises:
        BadParameter: there is no such pipeline or stage, or the second does not come right after the first.
    """
    stages = pipelines.get(pipeline)
    if stages is None:
        raise BadParameter(
            f"There is no pipeline {pipeline!r}; there are: {', '.join(pipelines) or 'none'}. Nothing was committed."
        )
    order = [stage["environment"] for stage in stages]
    for environment in (source, to):
        if environment not in order:
            raise BadParameter(
                f"{environment!r} is no stage of {pipeline}; its stages are: {', '.join(order)}. Nothing was committed."
            )
    if order.index(to) != order.index(source) + 1:
        raise BadParameter(
            f"{to} does not follow {source} in {pipeline}: {' → '.join(order)}. Only what was proved in a stage goes "
            "to the next; to go back, use yolo_rollback. Nothing was committed."
        )
    return stages[order.index(source)], stages[order.index(to)]
