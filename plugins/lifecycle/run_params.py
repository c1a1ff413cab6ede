"""The params of one run: what a pipeline's file says, which a person may change for that run.

Airflow makes its trigger form of the same classes (`lifecycle.params`); this is for runs that Airflow does not start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from lifecycle.errors import BadParameter
from lifecycle.model.results import LifecycleParams
from lifecycle.pipelines.files import problems_of
from lifecycle.pipelines.spec import Pipeline

# Parts of the file that are no params: where pods run, when the run starts, and the stages but the first one's entry.
PARTS = ("train", "gate")
NO_PARAMS = ("run", "resources", "stages")


def run_params(pipeline: Pipeline, changes: Mapping[str, Any] | None = None) -> LifecycleParams:
    """The params of a run.

    Args:
        pipeline: what the file says.
        changes: other values by their names; where one is no text, its JSON will do.

    Raises:
        BadParameter: a name is not known, or a value is not allowed.
    """
    params = {**_of(pipeline), "allow_class_change": False}
    changes = changes or {}
    if unknown := sorted(set(changes) - set(params)):
        raise BadParameter(f"{', '.join(unknown)}: no such parameter. There are: {', '.join(params)}.")
    wanted = params | {name: _decoded(name, value, params[name]) for name, value in changes.items()}
    if not isinstance(wanted["allow_class_change"], bool):
        raise BadParameter(f"allow_class_change is true or false, not {wanted['allow_class_change']!r}.")
    return cast(
        LifecycleParams, {**_of(_checked(pipeline, wanted)), "allow_class_change": wanted["allow_class_change"]}
    )


def _of(pipeline: Pipeline) -> dict[str, Any]:
    stage = pipeline.stages[0]
    whole = {name: getattr(pipeline, name) for name in Pipeline.model_fields if name not in (*PARTS, *NO_PARAMS)}
    parts = {key: value for name in PARTS for key, value in getattr(pipeline, name)}
    target = {"environment": stage.environment, "app": stage.app, "served_model": stage.model}
    return {**whole, **parts, "skip_unchanged": pipeline.run.skip_unchanged, **target}


def _decoded(name: str, value: Any, default: Any) -> Any:
    """Workflows know texts only."""
    if isinstance(default, str) or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise BadParameter(f"{name} is {value!r}; give it as JSON, such as {json.dumps(default)}.") from None


def _checked(pipeline: Pipeline, wanted: Mapping[str, Any]) -> Pipeline:
    """A pipeline with these params, by the same rules as a file."""
    parts = {part: {key: wanted[key] for key, _ in getattr(pipeline, part)} for part in PARTS}
    whole = {name: wanted[name] for name in Pipeline.model_fields if name not in (*PARTS, *NO_PARAMS)}
    stage = {"environment": wanted["environment"], "app": wanted["app"], "model": wanted["served_model"]}
    run = {"skip_unchanged": wanted["skip_unchanged"]}
    try:
        return Pipeline.model_validate({**whole, **parts, "run": run, "stages": [stage]})
    except ValidationError as error:
        problems = "; ".join(problems_of(error))
        raise BadParameter(f"The run's parameters cannot be used: {problems}. Nothing was trained.") from None
