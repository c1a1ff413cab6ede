"""The tasks of a stage after the first, as a pipeline's DAG takes them, and those that yolo_promote has too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from airflow.sdk import TaskGroup, TriggerRule, chain

from lifecycle.candidate import candidate_tasks
from lifecycle.catalog import stage_dict
from lifecycle.model import names
from lifecycle.model.results import StageDict, StagesDict
from lifecycle.operators.approval import approve_promotion
from lifecycle.operators.restore import RestoreOperator
from lifecycle.operators.soak import SoakOperator
from lifecycle.pipelines import Pipeline, Stage
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.settings import Settings
from lifecycle.tasks.promotion import choose_own, promote_on
from lifecycle.tasks.serving import set_alias, verify_serving


def later_stages(
    pipeline: Pipeline, stages: StagesDict, chosen: Settings, version: Any, released: Any, live_since: Any
) -> None:
    """Wire the stages after the first, each in a group of its environment's name, up to the first that is `manual`.

    Args:
        pipeline: what the file says.
        stages: which entries are last.
        chosen: the settings.
        version: the registered version's number.
        released: its pin, as it went live in the first stage.
        live_since: the task `set_alias` of the first stage.
    """
    former, since = pipeline.stages[0], live_since
    for stage in pipeline.stages[1:]:
        if stage.by == "manual":
            return
        with TaskGroup(group_id=stage.environment, tooltip=f"From {former.environment} to {stage.environment}"):
            since = _stage(former, stage, stages, chosen, version, released, since)
        former = stage


def _stage(
    former: Stage, stage: Stage, stages: StagesDict, chosen: Settings, version: Any, released: Any, since: Any
) -> Any:
    source, to = stage_dict(former), stage_dict(stage)
    before: list[Any] = [since]
    if stage.soak is not None:
        before.append(
            SoakOperator(
                task_id="soak",
                **operator_target(source),
                version=version,
                since=since,
                seconds=stage.soak.total_seconds(),
            )
        )
    promotion: Any = choose_own(source, to, released)
    before.append(promotion)
    if stage.by == "approval":
        before.append(approve_promotion(stage.environment, chosen))
    return release(promotion, before, to, stages, skips=True, proof=stage.proof or chosen.proof)


def release(
    promotion: Any,
    before: list[Any],
    to: Mapping[str, Any],
    stages: StagesDict,
    *,
    skips: bool,
    proof: Literal["after", "candidate"] = "after",
) -> Any:
    """Wire commit, rollout, proof, aliases and the way back.

    Args:
        promotion: the task `choose_promotion`.
        before: what goes before the commit, in its order.
        to: the stage, or templates of its keys.
        stages: which entries are last.
        skips: see `promote_on`.
        proof: of the stage.

    Returns:
        The last task, which returns since when the version is live.
    """
    promoted: Any = promote_on(promotion, skips=skips)
    target, delivery = operator_target(to), to["delivery"]
    # No reference to the task: `restore` must not run because of that one's failure.
    model = f"{{{{ (ti.xcom_pull(task_ids='{promotion.operator.task_id}') or {{}}).get('registered_model', '') }}}}"
    candidate = candidate_tasks(
        proof,
        promotion,
        promoted,
        delivery=delivery,
        target=target,
        registered_model=model,
        promotion=promotion,
    )
    rollout = ApplicationRolloutSensor(
        task_id=names.WAIT_FOR_ROLLOUT,
        **target,
        commit=promoted["commit"],
        version=promotion["version"],
        code_commit=promoted["code_commit"],
        request_url=promoted["request_url"],
        delivery=delivery,
    )
    served: Any = verify_serving.override(retries=4)(promoted["pin"], promotion)
    restore = RestoreOperator(
        task_id=names.RESTORE,
        **target,
        registered_model=model,
        delivery=delivery,
        trigger_rule=TriggerRule.ONE_FAILED,
    )
    rolled: Any = rollout.output
    chain(*before, *candidate, promoted, rollout, served)
    [rollout, served] >> restore
    return set_alias.override(retries=4)(promotion["registered_model"], served, rolled, stages, promotion)


def operator_target(stage: Mapping[str, Any] | StageDict) -> dict[str, Any]:
    """A stage as operators take it."""
    return {"environment": stage["environment"], "app": stage["app"], "model": stage["served_model"]}
