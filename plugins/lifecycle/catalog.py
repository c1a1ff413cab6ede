"""Every pipeline of a folder, for DAGs that are no pipeline's: yolo_promote and yolo_rollback."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lifecycle.errors import BadPipeline
from lifecycle.model.results import Proof, StageDict, StagesDict
from lifecycle.pipelines.files import parse
from lifecycle.pipelines.spec import Pipeline, Stage


def catalog(folder: Path) -> dict[str, Pipeline]:
    """The pipelines by their names; a file that is wrong is left out, since its own DAG is the import error."""
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        try:
            found[file.stem] = parse(file)
        except BadPipeline:
            continue
    return found


def stages_of(pipelines: Iterable[Pipeline]) -> StagesDict:
    """Which entries are the last stage of their pipeline, as tasks take it."""
    known = list(pipelines)
    return {
        "entries": {stage.entry: stage is each.stages[-1] for each in known for stage in each.stages},
        "registered_models": sorted({each.registered_model for each in known}),
    }


def stage_dict(stage: Stage, proof: Proof) -> StageDict:
    """A stage as tasks take it; `proof`: of one that does not say."""
    return {
        "environment": stage.environment,
        "app": stage.app,
        "served_model": stage.model,
        "delivery": stage.delivery or "",
        "proof": stage.proof or proof,
        "soak": 0.0 if stage.soak is None else stage.soak.total_seconds(),
    }
