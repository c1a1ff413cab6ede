"""The Python tasks of a pipeline's DAG up to the commit.

They return plain values (XCom), and leave everything else in MLflow and git, where a retry finds it again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle import kinds
from lifecycle.errors import BadParameter, RegistryError
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import classes, evaluation, runs, versions
from lifecycle.mlflow.server import check_server
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, GateDecision, OpenedRun, RegisteredVersion
from lifecycle.policy import gate as policy
from lifecycle.policy.classes import decide_classes
from lifecycle.tasks import context, handoff
from lifecycle.tasks.candidate import own_candidate, take_away
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.served import check_served_here

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel
    from lifecycle.model.target import Target

log = logging.getLogger(__name__)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Checks the target in git, MLflow and Argo CD, and opens the run that the rest writes to.",
)
def open_run() -> OpenedRun:
    """Check that the run can end well, and open its MLflow run, or set the one that it has to RUNNING again.

    Raises:
        BadParameter: the parameters name a model that git knows otherwise, or that is served elsewhere.
        RegistryError: MLflow lost the version that git pins, or cannot take what a run leaves in it.
    """
    params, target = context.lifecycle_params(), context.target()
    dag_id, dag_run_id = context.dag_run_ids()
    wanted = params["registered_model"]
    pinned, commit = repository().read(target.environment, target.app, target.model)
    _check(pinned, target, wanted)
    check_served_here(target, "Nothing was trained.")
    hook = MlflowHook.from_settings()
    # A server that says no is not asked again; one that is down is asked by the task's own retries.
    with hook.session(retries=0) as client:
        experiment = runs.open_experiment(client, wanted)
        check_server(client, experiment)
        if pinned.pin.version is not None:
            where = f"argocd-apps/{target.environment}/{target.app}/values.yaml"
            versions.pinned(client, wanted, pinned.pin.version, where)
    with hook.session() as client:
        tags = {names.DATASET: params["dataset"]}
        page = context.dag_run_page()
        run_id = runs.open_run(client, experiment, dag_id=dag_id, dag_run_id=dag_run_id, tags=tags, page=page)
        for left in runs.close_left(client, experiment, dag_id, context.end_of_dag_run):
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


@task.short_circuit(
    execution_timeout=QUICK,
    # The tasks that follow are skipped each by the one before, and `close_run` is not.
    ignore_downstream_trigger_rules=False,
    doc_md="Skips everything after it if the candidate is not good enough, and says by how much.",
)
def gate(opened: OpenedRun) -> str | None:
    """Compare what `evaluate` measured with what was asked; the reason, or None to stop here."""
    decision = _judge(opened)
    context.task_instance().xcom_push(key=names.DECISION_KEY, value=decision)
    return decision["reason"] if decision["passed"] else None


def _judge(opened: OpenedRun) -> GateDecision:
    """Decide, and leave the outcome in the tags of the MLflow run."""
    params, live_version = context.lifecycle_params(), opened["live"]["version"]
    with MlflowHook.from_settings().session() as client:
        run = client.get_run(opened["run_id"])
        evaluated = run.data.tags.get(names.LIVE_VERSION) or None
        if live_version is not None and evaluated != str(live_version):
            raise RegistryError(
                f"The MLflow run {opened['run_id']} was compared with version {evaluated}, and version {live_version} "
                "is live. Clear the task `evaluate` to compare again."
            )
        candidate, live = evaluation.read_scores(run, live_version)
        least = context.least(kinds.tagged(run.data.tags))
        decision = policy.decide(candidate, live, least=least, max_regression=params["max_regression"])
        if decision.passed:
            provable = policy.provable(evaluation.verification_images(run))
            decision = decision if provable.passed else provable
        change = classes.change(client, opened["run_id"], opened["registered_model"], live_version)
        allowed = decide_classes(change, live_version, allowed=params["allow_class_change"])
        if not allowed.passed:
            decision = allowed
        if change is not None:
            client.set_tag(opened["run_id"], names.CLASS_CHANGE, change.words)
        client.set_tag(opened["run_id"], names.GATE, "passed" if decision.passed else "rejected")
        client.set_tag(opened["run_id"], names.GATE_REASON, decision.reason)
    table = policy.comparison(candidate, live, live_version)
    verdict = (
        "The candidate may go live" if decision.passed else "The candidate is not promoted, what is live stays live"
    )
    log.info("%s: %s.\n%s", verdict, decision.reason, table)
    words = change.words if change else ""
    if words:
        log.warning("Against the live version, classes %s", words)
    return {"passed": decision.passed, "reason": decision.reason, "table": table, "classes": words}


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Registers the candidate in MLflow: one version per DAG run, however often tried.",
)
def register(opened: OpenedRun) -> RegisteredVersion:
    """Register the candidate once per DAG run."""
    name = context.lifecycle_params()["registered_model"]
    with MlflowHook.from_settings().session() as client:
        run = client.get_run(opened["run_id"])
        version = versions.register(client, name, run, context.dag_run_page())
    log.info("Version %s of %s", version.version, name)
    pin = Pin(int(version.version), versions.sha256_of(version), opened["run_id"])
    return {**pin.version_xcom(), "dataset_digest": version.tags[names.DATASET_DIGEST]}


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes version, sha256, run id and the commit of the code that serves into the values file: one commit.",
)
def promote(registered: RegisteredVersion, delivery: str = "") -> DeliveredCommit:
    """Commit the version's pin; skip what follows if a newer version or a hold is in its way.

    The code is the newest of the branch, or what this run's candidate was proved with.
    `delivery`: how the stage has its commits delivered; empty: as the setting says.
    """
    wanted = context.lifecycle_params()["registered_model"]
    promoted = handoff.promote(
        context.target(),
        wanted,
        registered,
        dag_run=context.dag_run_name(),
        classes=context.class_change(),
        delivery=delivery,
        candidate=own_candidate(),
    )
    if promoted["outcome"] not in handoff.CONTINUES:
        context.task_instance().xcom_push(key="return_value", value=promoted)
        take_away(delivery)
        raise AirflowSkipException(f"Nothing was committed ({promoted['outcome']}): {promoted['detail']}")
    return promoted
