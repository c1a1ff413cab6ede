"""The DAGs' parameters: what Airflow's trigger form shows and checks before a run starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow.sdk import Param

from lifecycle.kinds import Part
from lifecycle.pipelines.spec import Pipeline, Stage, Train

# The target of a run, as operators take it: templates over these parameters.
TARGET: dict[str, Any] = {
    "environment": "{{ params.environment }}",
    "app": "{{ params.app }}",
    "model": "{{ params.served_model }}",
}
# What the form of yolo_rollback begins with where there is no pipeline.
DEMO = Stage(environment="staging", app="detector", model="digits")
# And that of yolo_release_path, whose entries belong to no pipeline.
FOREIGN = Stage(environment="staging", app="zoo", model="densenet")


def target(stage: Stage) -> dict[str, Param]:
    """Which served model a run is about."""
    return _form(stage, ("environment", "app", "model"), "Where it goes", {"model": "served_model"})


def lifecycle(pipeline: Pipeline) -> dict[str, Param]:
    """Parameters of a pipeline's DAG: what its file says, which a person may change for one run."""
    data, live = "Data and training", "Going live"
    return {
        **_form(pipeline, ("dataset",), data),
        **_form(pipeline.train, tuple(Train.model_fields), data),
        **_form(pipeline.run, ("skip_unchanged",), data),
        **_form(pipeline, ("registered_model",), live),
        **_form(pipeline.gate, tuple(type(pipeline.gate).model_fields), live),
        # For one run only: in a file it would let every later change through, unseen.
        "allow_class_change": Param(
            False,
            type="boolean",
            title="Allow other classes",
            section=live,
            description="Lets a version go live whose classes are not those of the live one; clients must be ready.",
        ),
        **target(pipeline.stages[0]),
    }


def _form(part: Part, keys: tuple[str, ...], section: str, named: Mapping[str, str] | None = None) -> dict[str, Param]:
    """Fields of the form with the limits, the words and the values of a part of the file; `named`: other names."""
    schemas = part.model_json_schema()["properties"]
    fields = {}
    for key in keys:
        schema = {name: value for name, value in schemas[key].items() if name != "default"}
        fields[(named or {}).get(key, key)] = Param(getattr(part, key), section=section, **schema)
    return fields


def promotion(pipelines: Mapping[str, Pipeline]) -> dict[str, Param]:
    """Parameters of `yolo_promote`: any two stages of a pipeline that follow each other; at first, those of one."""
    section = "What is promoted"
    staged = {name: pipeline for name, pipeline in pipelines.items() if len(pipeline.stages) > 1}
    every = dict.fromkeys(stage.environment for each in staged.values() for stage in each.stages)
    name = next(iter(staged), "")
    first = [stage.environment for stage in staged[name].stages[:2]] if staged else ["", ""]
    asked = "The stage whose version is promoted; it must answer there now."
    return {
        "pipeline": _choice(name, staged, "Pipeline", section, "The file in `dags/pipelines/`, with its stages."),
        "from": _choice(first[0], every, "From", section, asked),
        "to": _choice(first[1], every, "To", section, "The stage after it."),
        "skip_soak": Param(
            False,
            type="boolean",
            title="Without the soak",
            section=section,
            description="Does not wait until the version has been live for as long as the stage's `soak` says.",
        ),
        "reason": _reason(section),
    }


def code(pipelines: Mapping[str, Pipeline]) -> dict[str, Param]:
    """Parameters of `yolo_release_code`: whose first stage gets the newest code."""
    section = "What is released"
    whose = "The file in `dags/pipelines/` whose first stage gets the newest code of `model_repository/`."
    return {
        "pipeline": _choice(next(iter(pipelines), ""), pipelines, "Pipeline", section, whose),
        "reason": _reason(section),
    }


def folder() -> dict[str, Param]:
    """Parameters of `yolo_release_path`: any entry that has a source."""
    section = "What is released"
    return {
        **target(FOREIGN),
        "path": Param(
            "",
            type="string",
            title="Folder",
            pattern="^(s3://[a-z0-9][-a-z0-9.]*(/[A-Za-z0-9._=@+-]+)+/?)?$",
            section=section,
            description="Its address, s3://<bucket>/<folder>, never served before; empty: the folder that was live "
            "before the present one.",
        ),
        "hold": Param(
            False,
            type="boolean",
            title="Hold",
            section=section,
            description="Set `hold: true`: no run moves the entry until a person removes it.",
        ),
        "reason": _reason(section),
    }


def rollback(pipelines: Mapping[str, Pipeline]) -> dict[str, Param]:
    """Parameters of `yolo_rollback`: any served model; at first, that of the first pipeline's first stage."""
    section = "What comes back"
    first = next((each.stages[0] for each in pipelines.values()), DEMO)
    return {
        **target(first),
        "version": Param(
            None,
            type=["null", "integer"],
            title="Version",
            minimum=1,
            section=section,
            description="Version of the registered model; empty: what was live before the present one, code included.",
        ),
        "code_commit": Param(
            "",
            type="string",
            title="Commit of the code",
            pattern="^([0-9a-f]{40}|[0-9a-f]{64})?$",
            section=section,
            description="Commit of `model_repository/`, in full; empty: the one that the version was live with.",
        ),
        "hold": Param(
            False,
            type="boolean",
            title="Hold",
            section=section,
            description="Set `hold: true`: no pipeline's run promotes over it until a person removes it.",
        ),
        "reason": _reason(section),
    }


def _choice(value: str, among: Collection[str], title: str, section: str, description: str) -> Param:
    """One of some names; any, where there is none yet."""
    enum: dict[str, Any] = {"enum": list(among)} if among else {}
    return Param(value, type="string", title=title, section=section, description=description, **enum)


def _reason(section: str) -> Param:
    return Param(
        "",
        type="string",
        title="Reason",
        maxLength=500,
        section=section,
        description="Goes into the commit and the log.",
    )
