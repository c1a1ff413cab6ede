"""Between the training and the registry: whether what was trained is worth a version."""

from __future__ import annotations

import logging

from lifecycle.errors import RegistryError
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import classes, evaluation, versions
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import GateDecision, LifecycleParams, OpenedRun, RegisteredVersion
from lifecycle.policy import gate as policy
from lifecycle.policy.classes import decide_classes

log = logging.getLogger(__name__)


def judge(params: LifecycleParams, opened: OpenedRun) -> GateDecision:
    """Decide, and leave the outcome in the tags of the MLflow run."""
    live_version = opened["live"]["version"]
    with MlflowHook.from_settings().session() as client:
        run = client.get_run(opened["run_id"])
        evaluated = run.data.tags.get(names.LIVE_VERSION) or None
        if live_version is not None and evaluated != str(live_version):
            raise RegistryError(
                f"The MLflow run {opened['run_id']} was compared with version {evaluated}, and version {live_version} "
                "is live. Clear the task `evaluate` to compare again."
            )
        candidate, live = evaluation.read_scores(run, live_version)
        decision = policy.decide(
            candidate, live, min_map50=params["min_map50"], max_regression=params["max_regression"]
        )
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


def register(params: LifecycleParams, opened: OpenedRun, *, page: str = "") -> RegisteredVersion:
    """Register the candidate once per run; `page`: the run's address for people."""
    name = params["registered_model"]
    with MlflowHook.from_settings().session() as client:
        run = client.get_run(opened["run_id"])
        version = versions.register(client, name, run, page)
    log.info("Version %s of %s", version.version, name)
    pin = Pin(int(version.version), versions.sha256_of(version), opened["run_id"])
    return {**pin.version_xcom(), "dataset_digest": version.tags[names.DATASET_DIGEST]}
