"""The tasks of a stage after the first, as a pipeline's DAG takes them, and those that yolo_promote has too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, chain

from lifecycle.candidate import candidate_tasks
from lifecycle.catalog import stage_dict
from lifecycle.model import names
from lifecycle.model.results import Proof, StagesDict
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
    source, to = stage_dict(former, chosen.proof), stage_dict(stage, chosen.proof)
    before: list[Any] = [since]
    if to["soak"]:
        before.append(soak(source, version, since, to["soak"]))
    promotion: Any = choose_own(source, to, released)
    before.append(promotion)
    if stage.by == "approval":
        before.append(approve_promotion(stage.environment, chosen))
    return release(promotion, before, to, stages, proof=to["proof"])


def soak(source: Mapping[str, Any], version: Any, since: Any, seconds: Any) -> SoakOperator:
    """The task `soak`: the version's time in the stage before; `seconds` may be known only once the run has begun."""
    return SoakOperator(task_id="soak", **operator_target(source), version=version, since=since, seconds=seconds)


def release(
    promotion: Any,
    before: list[Any],
    to: Mapping[str, Any],
    stages: StagesDict,
    *,
    proof: Proof,
    asked: bool = False,
) -> Any:
    """Wire commit, rollout, proof, aliases and the way back.

    Args:
        promotion: the task `choose_promotion`.
        before: what goes before the commit, in its order.
        to: the stage, or templates of its keys.
        stages: which entries are last.
        proof: of the stage.
        asked: whether a person asked for it. A refusal fails then, and the stage is known only once the run has chosen
            it: the tasks of a candidate are skipped where it turns out to have `proof: after`.

    Returns:
        The last task, which returns since when the version is live.
    """
    # Skipped tasks of a candidate do not stop it; `promote_on` itself asks whether one had to be proved.
    rule = TriggerRule.NONE_FAILED if asked else TriggerRule.ALL_SUCCESS
    promoted: Any = promote_on.override(trigger_rule=rule)(promotion, skips=not asked)
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
        skips=not asked,
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


def chosen_stage(task_id: str, key: str = "") -> dict[str, str]:
    """Templates of the stage that a task chooses, which is known only once the run has begun.

    Args:
        task_id: the task, which returns the stage.
        key: under which it returns the stage; empty: what it returns is the stage.
    """
    stage = f"(ti.xcom_pull(task_ids='{task_id}'{f', key={key!r}' if key else ''}) or {{}})"
    return {name: f"{{{{ {stage}.get('{name}', '') }}}}" for name in ("environment", "app", "served_model", "delivery")}


def operator_target(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage as operators take it."""
    return {"environment": stage["environment"], "app": stage["app"], "model": stage["served_model"]}
