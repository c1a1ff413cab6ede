"""From one stage to the next: which version is promoted, whether it may be, and the one commit that takes its pin."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import BadParameter, LifecycleError, PromotionRefused
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import classes, runs, versions
from lifecycle.model import names
from lifecycle.model.pin import Pin, PinDict
from lifecycle.model.results import DeliveredCommit, Promotion, StageDict
from lifecycle.model.target import Target
from lifecycle.policy.promotion import side_by_side
from lifecycle.policy.stages import neighbours
from lifecycle.steps import handoff, proof
from lifecycle.steps.served import check_served_here
from lifecycle.tasks import context
from lifecycle.tasks.candidate import own_candidate, take_away
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel

log = logging.getLogger(__name__)

NOTHING = "Nothing was committed."


@task(
    task_id=names.CHOOSE_PROMOTION,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Reads what the stage before holds, and refuses what may not go on.",
)
def choose_asked(pipelines: Mapping[str, Sequence[StageDict]]) -> Promotion:
    """What a person asked `yolo_promote` for.

    Raises:
        BadParameter: the params name no two stages that follow each other.
        PromotionRefused: what is there may not go on.
    """
    params = context.promote_params()
    source, to = neighbours(pipelines, params["pipeline"], params["from"], params["to"])
    if params["skip_soak"]:
        to = {**to, "soak": 0.0}
    chosen = _choose(source, to, reason=" ".join(params["reason"].split()))
    return {**chosen, "since": _given(context.target(source)) if to["soak"] else 0.0}


@task(
    task_id=names.CHOOSE_PROMOTION,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Reads what the stage before holds; skips the rest if that is not this run's version, or may not go on.",
)
def choose_own(source: StageDict, to: StageDict, released: PinDict) -> Promotion:
    """This run's version, if the stage before still holds it; what a person did there meanwhile is no failure."""
    try:
        return _choose(source, to, expected=Pin.from_xcom(released))
    except PromotionRefused as error:
        _skip(str(error))


@task(
    task_id=names.PROMOTE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks the stage before again, and copies its pin, code commit included, into the next: one commit.",
)
def promote_on(chosen: Promotion, *, skips: bool) -> DeliveredCommit:
    """Commit the promotion.

    Args:
        chosen: what `choose_promotion` returned.
        skips: whether a refusal ends a pipeline's run as skipped; else it fails, for the person who asked.

    Raises:
        PromotionRefused: the stage before does not hold and answer with the version any more, or a hold or a newer
            version is in the way.
    """
    ti = context.task_instance()
    if chosen["proof"] == "candidate" and not ti.xcom_pull(task_ids=names.beside(ti.task_id, names.PROVE_CANDIDATE)):
        _skip("Its candidate was not proved: another run replaced it, or a person took it away.")
    try:
        # `discard_candidate` tells the reason, too.
        with handed_on(ti):
            return _promote(chosen)
    except PromotionRefused as error:
        if not skips:
            raise
        take_away(chosen["delivery"], chosen)
        _skip(str(error))


def _choose(source: StageDict, to: StageDict, *, expected: Pin | None = None, reason: str = "") -> Promotion:
    origin, target = context.target(source), context.target(to)
    held, _ = repository().read(origin.environment, origin.app, origin.model)
    there, tip = repository().read(target.environment, target.app, target.model)
    _check(origin, held, target, there, expected)
    check_served_here(target, "Nothing was committed.")
    _check_answers(origin, held.pin)
    model = held.registered_model
    log.info("At %s, %s holds %s and %s %s", tip, origin.entry, held.pin.words, target.entry, there.pin.words)
    with MlflowHook.from_settings().session() as client:
        version = versions.existing(client, model, held.pin.number)
        change = classes.change(client, held.pin.run_id, model, there.pin.version)
        live = None if there.pin.version is None else runs.shown(client, there.pin)
        table = side_by_side(runs.shown(client, held.pin), live, origin.environment, target.environment)
    log.info("%s", table)
    return {
        **held.pin.version_xcom(),
        **to,
        "registered_model": model,
        "source": {"environment": origin.environment, "app": origin.app, "served_model": origin.model},
        "live": there.pin.xcom(),
        "dataset_digest": version.tags.get(names.DATASET_DIGEST, ""),
        "table": table,
        "classes": change.words if change else "",
        "reason": reason,
        "since": 0.0,
    }


def _given(origin: Target) -> float:
    """When the stage was given what it holds: seconds since the epoch."""
    newest, *_ = repository().history(origin.environment, origin.app, origin.model)
    return newest.time.timestamp()


def _check(origin: Target, held: PinnedModel, target: Target, there: PinnedModel, expected: Pin | None) -> None:
    """What git says of the two stages."""
    if held.pin.version is None:
        raise refused(f"{origin.entry} holds no version, so there is nothing to promote from it.")
    if expected is not None and held.pin != expected:
        raise refused(
            f"{origin.entry} has {held.pin.told_from(expected)} by now, not {expected.told_from(held.pin)}, which this "
            "run released."
        )
    for entry, pinned in ((origin, held), (target, there)):
        if pinned.hold:
            raise refused(
                f"{entry.entry} is on hold at {pinned.pin.words}. Set hold to false in its values file to let "
                "promotions through again."
            )
    if there.registered_model != held.registered_model:
        raise BadParameter(
            f"{origin.entry} serves the registered model {held.registered_model!r}, and {target.entry} serves "
            f"{there.registered_model!r}. Correct registeredModel in one of the values files. Nothing was committed."
        )
    if there.pin.version is not None and there.pin.version > held.pin.number:
        raise refused(
            f"{target.entry} has the newer {there.pin.words}, and {origin.entry} {held.pin.words}. To go back, use "
            "yolo_rollback."
        )


def _check_answers(origin: Target, pin: Pin, kept: str = NOTHING) -> None:
    """Only a version that answers is promoted, whatever git says."""
    try:
        proof.prove_identity(origin, pin)
    except LifecycleError as error:
        if error.retryable:
            raise
        raise refused(f"{pin.words.capitalize()} does not answer in {origin.environment}: {error}", kept) from error


def _promote(chosen: Promotion) -> DeliveredCommit:
    pin = Pin.from_xcom(chosen)
    # A candidate was committed before.
    kept = NOTHING if chosen["proof"] == "after" else "What is live stays as it is."
    if chosen["source"] is not None:
        origin = context.target(chosen["source"])
        _check_answers(origin, pin, kept)
        more: dict[str, Any] = {"source": origin}
    else:
        candidate = own_candidate()
        pin = Pin.from_xcom(candidate["pin"]) if candidate else pin
        more = handoff.code_of(candidate)
    trailers = {
        names.DATASET_DIGEST_TRAILER: chosen["dataset_digest"],
        names.DAG_RUN_TRAILER: context.dag_run_name(),
        names.CLASS_CHANGE_TRAILER: chosen["classes"],
        names.REASON_TRAILER: chosen["reason"],
    }
    wanted = handoff.bump(
        context.target(chosen),
        chosen["registered_model"],
        pin,
        kind="promote",
        trailers=trailers,
        **more,
    )
    made = handoff.deliver(wanted, chosen["delivery"])
    if made.outcome not in handoff.CONTINUES:
        raise refused(made.detail, kept)
    return handoff.described(made)


def refused(why: str, kept: str = NOTHING) -> PromotionRefused:
    """The refusal, which says what stays as it is."""
    return PromotionRefused(f"{why} {kept}")


def _skip(why: str) -> NoReturn:
    # Airflow's log does not say why a task was skipped.
    log.warning("%s", why)
    context.task_instance().xcom_push(key=names.REASON_KEY, value=why)
    raise AirflowSkipException(why)
