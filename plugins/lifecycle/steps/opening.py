"""The first step: whether a run can end well, and the MLflow run that the others write to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from lifecycle import kinds
from lifecycle.errors import BadParameter
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs, versions
from lifecycle.mlflow.server import check_server
from lifecycle.model import names
from lifecycle.model.results import LifecycleParams, OpenedRun
from lifecycle.model.target import Target
from lifecycle.policy.outcome import Outcome
from lifecycle.steps.served import check_served_here

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel

log = logging.getLogger(__name__)


def open_run(
    params: LifecycleParams,
    run: tuple[str, str],
    *,
    task: str = kinds.DEFAULT,
    page: str = "",
    end_of: Callable[[str], Outcome | None] | None = None,
) -> OpenedRun:
    """Check that the run can end well, and open its MLflow run, or set the one that it has to RUNNING again.

    Args:
        params: of the run.
        run: ids of the DAG (or workflow) and of its run.
        task: of the pipeline: the kind of what it makes.
        page: the run's address for people; empty: none is known.
        end_of: how another run of the same DAG ended (None: it has not): then MLflow runs that were left RUNNING are
            ended; None: nobody knows.

    Raises:
        BadParameter: the parameters name a model that git knows otherwise, that is served elsewhere, or that is served
            by another kind's template.
        RegistryError: MLflow lost the version that git pins, or cannot take what a run leaves in it.
    """
    target = Target.of(params)
    dag_id, dag_run_id = run
    wanted = params["registered_model"]
    pinned, commit = repository().read(target.environment, target.app, target.model)
    _check(pinned, target, wanted)
    check_template(pinned, target, task)
    check_served_here(target, "Nothing was trained.")
    hook = MlflowHook.from_settings()
    # A server that says no is not asked again; one that is down is asked by the step's own retries.
    with hook.session(retries=0) as client:
        experiment = runs.open_experiment(client, wanted)
        check_server(client, experiment)
        if pinned.pin.version is not None:
            where = f"argocd-apps/{target.environment}/{target.app}/values.yaml"
            versions.pinned(client, wanted, pinned.pin.version, where)
    with hook.session() as client:
        tags = {names.DATASET: params["dataset"]}
        run_id = runs.open_run(client, experiment, dag_id=dag_id, dag_run_id=dag_run_id, tags=tags, page=page)
        for left in runs.close_left(client, experiment, dag_id, end_of) if end_of else ():
            log.info("Ended the MLflow run of %s, which had ended before", left)
    experiment_id = str(experiment.experiment_id)
    log.info("MLflow run: %s", " ".join(filter(None, hook.run_page(experiment_id, run_id))))
    log.info("Live at commit %s: %s", commit, pinned.pin)
    return {
        "run_id": run_id,
        "experiment_id": experiment_id,
        "registered_model": wanted,
        "environment": target.environment,
        "served_model": target.model,
        "live": pinned.pin.xcom(),
    }


def _check(pinned: PinnedModel, target: Target, wanted: str) -> None:
    if pinned.registered_model != wanted:
        raise BadParameter(
            f"In {target.environment}/{target.app}, the model {target.model!r} serves the registered model "
            f"{pinned.registered_model!r}, and the run was asked to make versions of {wanted!r}. Choose the served "
            "model or the registered model that belongs to the other; nothing was trained."
        )
    if pinned.hold:
        log.warning("%s is on hold in git: this run trains and registers, and stops before the commit.", target.model)


def check_template(pinned: PinnedModel, target: Target, task: str) -> None:
    """Refuse an entry that another kind's template serves: its server would refuse every version.

    A team's own folder of model_repository/ may serve any kind.

    Raises:
        BadParameter: with what to change in the entry.
    """
    serves = next((kind for kind in kinds.every().values() if kind.template == pinned.template), None)
    if serves is None or serves.name == task:
        return
    has = f"has `template: {pinned.template}`" if pinned.template else "names no template"
    wanted = kinds.find(task).template
    change = f"set `template: {wanted}` in it" if wanted else "take the line `template` out of it"
    raise BadParameter(
        f"The entry {target.model!r} of argocd-apps/{target.environment}/{target.app}/values.yaml {has}, which serves "
        f"the task {serves.name!r}, and this pipeline trains for {task!r}: {change}, push, and trigger the run again. "
        "Nothing was trained."
    )
