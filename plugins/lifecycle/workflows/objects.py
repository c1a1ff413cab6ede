"""The WorkflowTemplate of a pipeline, and the CronWorkflow of one that has a schedule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifecycle.errors import BadPipeline
from lifecycle.model import names
from lifecycle.pipelines import Pipeline, load
from lifecycle.pipelines.resources import settings_for
from lifecycle.run_params import run_params
from lifecycle.settings import Settings
from lifecycle.trainer_pods import pod_security
from lifecycle.workflows.pods import (
    CLIENT,
    MAY_SKIP,
    STEP_OUTPUTS,
    Template,
    client,
    plain,
    pull_secrets,
    step,
    trainer,
    volumes,
)

API = "argoproj.io/v1alpha1"
STEPS = (
    *("open", "prepare", "changes", "train", "evaluate", "gate", "register"),
    *("promote", "wait", "verify", "champion"),
)
TRAINER = ("prepare", "train", "evaluate")
APPROVE = "approve"
# What the person who is asked sees beside the waiting step, and which step knows it.
ASKED_ABOUT = {"version": "register", "live_version": "open", "figures": "evaluate"}
KEPT = 7 * 24 * 3600  # seconds that a workflow is there after its end
MARGIN = 600  # seconds that a step may take beside what it waits for


def objects(file: Path, common: Settings) -> list[dict[str, Any]]:
    """The objects of `dags/pipelines/<name>.yaml`.

    Args:
        file: the pipeline's.
        common: the settings; images, namespace and pods follow them.

    Raises:
        BadPipeline: the file is wrong, or asks for what a workflow does not do.
    """
    pipeline, text = load(file), file.read_text(encoding="utf-8")
    chosen = settings_for(pipeline, common)
    _check(file, pipeline, chosen)
    found = [_template(file.stem, text, pipeline, chosen)]
    if pipeline.run.schedule is not None:
        found.append(_cron(file.stem, pipeline, chosen))
    return found


def _check(file: Path, pipeline: Pipeline, chosen: Settings) -> None:
    """What only Airflow's DAG does is refused, not left out in silence."""
    first, *later = pipeline.stages
    wrong = {
        "stages[0].proof: candidate": (first.proof or chosen.proof) == "candidate",
        "run.on_dataset_change": pipeline.run.on_dataset_change is not None,
        "an empty LIFECYCLE_WORKSPACE_CLAIM": not chosen.workspace_claim,
        **{f"stages[{n}].by: {stage.by}": stage.by != "manual" for n, stage in enumerate(later, 1)},
    }
    if asked := [what for what, is_so in wrong.items() if is_so]:
        raise BadPipeline(
            f"{file.parent.name}/{file.name}: a workflow does not do {', '.join(asked)}. It releases to the first "
            "stage, and proves the version there (proof: after). Change the file, or run it by Airflow."
        )


def _template(name: str, text: str, pipeline: Pipeline, chosen: Settings) -> dict[str, Any]:
    parameters = [
        {"name": key, "value": value if isinstance(value, str) else json.dumps(value)}
        for key, value in run_params(pipeline).items()
    ]
    spec = {
        "entrypoint": "pipeline",
        "onExit": "ending",
        "arguments": {"parameters": parameters},
        # One run at a time, as of the DAG: a second would release beside the first.
        "synchronization": {"mutexes": [{"name": name}]},
        "automountServiceAccountToken": False,
        "serviceAccountName": chosen.workflow_executor,
        "executor": {"serviceAccountName": chosen.workflow_executor},
        "securityContext": plain(pod_security()),
        "podGC": {"strategy": "OnPodSuccess"},
        "ttlStrategy": {"secondsAfterCompletion": KEPT},
        "podMetadata": {"annotations": {names.DAG_RUN_ANNOTATION: f"{name}/{{{{workflow.name}}}}"}},
        "volumes": volumes(chosen),
        "templates": [_pipeline(chosen), _ending(), *_steps(name, text, pipeline, chosen)],
    }
    if secrets := pull_secrets(chosen):
        spec["imagePullSecrets"] = secrets
    if chosen.pod_priority_class:
        spec["podPriorityClassName"] = chosen.pod_priority_class
    return {"apiVersion": API, "kind": "WorkflowTemplate", "metadata": _named(name, chosen), "spec": spec}


def _named(name: str, chosen: Settings) -> dict[str, Any]:
    return {"name": name, "namespace": chosen.pod_namespace, "labels": {names.PART_OF_LABEL: "yolo-lifecycle"}}


def _pipeline(chosen: Settings) -> Template:
    """Each step after the one before, where that has left something to do."""
    order = list(STEPS)
    if chosen.require_approval:
        order.insert(order.index("promote"), APPROVE)
    if chosen.workflow_client_image:
        order.append(CLIENT)
    tasks = []
    for number, name in enumerate(order):
        task: dict[str, Any] = {"name": name, "template": name}
        if number:
            task["depends"] = f"{order[number - 1]}.Succeeded"
            if order[number - 1] in MAY_SKIP:
                task["when"] = f"{{{{tasks.{order[number - 1]}.outputs.parameters.continue}}}} == true"
        if name in TRAINER:
            given = [
                {"name": key, "value": f"{{{{tasks.open.outputs.parameters.{key}}}}}"} for key in STEP_OUTPUTS["open"]
            ]
            task["arguments"] = {"parameters": given}
        if name == APPROVE:
            seen = [
                {"name": key, "value": f"{{{{tasks.{where}.outputs.parameters.{key}}}}}"}
                for key, where in ASKED_ABOUT.items()
            ]
            task["arguments"] = {"parameters": seen}
        if name == CLIENT:
            address = {"name": "grpc_url", "value": "{{tasks.verify.outputs.parameters.grpc_url}}"}
            task["arguments"] = {"parameters": [address]}
        tasks.append(task)
    return {"name": "pipeline", "dag": {"tasks": tasks}}


def _ending() -> Template:
    """However the run ended: what was committed and not proved is taken back, and the MLflow run is ended."""
    restore = {"name": "restore", "template": "restore", "when": "{{workflow.status}} != Succeeded"}
    # It ends as a failure where it took something back; the run is closed all the same.
    after = " || ".join(f"restore.{state}" for state in ("Succeeded", "Failed", "Errored", "Skipped"))
    return {"name": "ending", "dag": {"tasks": [restore, {"name": "close", "template": "close", "depends": after}]}}


def _steps(name: str, text: str, pipeline: Pipeline, chosen: Settings) -> list[Template]:
    opens = [f"--run={name}/{{{{workflow.name}}}}", "--params={{workflow.parameters.json}}", "--pipeline", text]
    waits = chosen.rollout_timeout + MARGIN
    requests = (pipeline.stages[0].delivery or chosen.gitops_delivery) != "push"
    return [
        step(chosen, "open", opens),
        *(trainer(chosen, each, pipeline.task) for each in TRAINER),
        step(chosen, "changes", [f"--image={chosen.trainer_image}"]),
        *(step(chosen, each) for each in ("gate", "register")),
        *([_approve()] if chosen.require_approval else []),
        step(chosen, "promote"),
        step(chosen, "wait", seconds=waits + (chosen.merge_timeout if requests else 0)),
        step(chosen, "verify"),
        step(chosen, "champion"),
        *([client(chosen)] if chosen.workflow_client_image else []),
        step(chosen, "restore", seconds=waits),
        step(chosen, "close", ["--failures={{workflow.failures}}"]),
    ]


def _approve() -> Template:
    inputs = {"parameters": [{"name": key} for key in ASKED_ABOUT]}
    return {"name": APPROVE, "inputs": inputs, "suspend": {}}


def _cron(name: str, pipeline: Pipeline, chosen: Settings) -> dict[str, Any]:
    spec = {
        "schedules": [pipeline.run.schedule],
        "timezone": pipeline.run.timezone,
        "concurrencyPolicy": "Forbid",
        "workflowSpec": {"workflowTemplateRef": {"name": name}},
    }
    return {"apiVersion": API, "kind": "CronWorkflow", "metadata": _named(name, chosen), "spec": spec}
