"""What the Python tasks of `yolo_lifecycle` do, one function a task.

They take the run's parameters and plain values and return plain values (XCom), and leave everything else in MLflow and
git, where a retry finds it again.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from lifecycle import connections, gate
from lifecycle.cluster.names import Target
from lifecycle.errors import BadParameter, RegistryError
from lifecycle.registry import runs, versions

log = logging.getLogger(__name__)

Params = dict[str, Any]


def target_of(params: Params) -> Target:
    """The served model that a run is about."""
    return Target(params["environment"], params["app"], params["served_model"])


def open_run(params: Params, *, dag_id: str, dag_run_id: str) -> dict[str, Any]:
    """Check that the run can end well, and open its MLflow run.

    Returns:
        `run_id`, `experiment_id`, `registered_model`, `served_model`, and `live`: the pin in git, whose `version` is
        None if nothing is served.

    Raises:
        BadParameter: the parameters name a model that git or MLflow knows otherwise.
    """
    target = target_of(params)
    pinned, commit = connections.gitops().read(target.environment, target.app, target.model)
    wanted = params["registered_model"]
    if pinned.registered_model != wanted:
        raise BadParameter(
            f"In {target.environment}/{target.app}, the model {target.model!r} serves the registered model "
            f"{pinned.registered_model!r}, and the run was asked to make versions of {wanted!r}. Choose the served "
            "model or the registered model that belongs to the other; nothing was trained."
        )
    if pinned.hold:
        log.warning("%s is on hold in git: this run trains and registers, and stops before the commit.", target.model)
    hook = connections.mlflow()
    with hook.session() as client:
        if pinned.pin.version is not None:
            versions.existing(client, wanted, pinned.pin.version)
        run_id = runs.open_run(
            client, wanted, dag_id=dag_id, dag_run_id=dag_run_id, tags={"dataset": params["dataset"]}
        )
        experiment_id = client.get_run(run_id).info.experiment_id
    log.info("MLflow run: %s/#/experiments/%s/runs/%s", hook.tracking_uri, experiment_id, run_id)
    log.info("Live at commit %s: %s", commit, pinned.pin)
    return {
        "run_id": run_id,
        "experiment_id": experiment_id,
        "registered_model": wanted,
        "served_model": target.model,
        "live": asdict(pinned.pin),
    }


def judge(params: Params, opened: dict[str, Any]) -> tuple[gate.Decision, str]:
    """Compare what `evaluate` measured with what was asked; leave the outcome in the run's tags.

    Returns:
        The decision, and a Markdown table of candidate and live version.
    """
    live_version = opened["live"]["version"]
    with connections.mlflow().session() as client:
        run = client.get_run(opened["run_id"])
        evaluated = run.data.tags.get("live_version") or None
        if live_version is not None and evaluated != str(live_version):
            raise RegistryError(
                f"The MLflow run {opened['run_id']} was compared with version {evaluated}, and version {live_version} "
                "is live. Clear the task `evaluate` to compare again."
            )
        candidate, live = gate.read_scores(run, live_version)
        decision = gate.decide(candidate, live, min_map50=params["min_map50"], max_regression=params["max_regression"])
        if decision.passed and not (proof := gate.provable(run)).passed:
            decision = proof
        client.set_tag(opened["run_id"], "gate", "passed" if decision.passed else "rejected")
        client.set_tag(opened["run_id"], "gate_reason", decision.reason)
    table = gate.comparison(candidate, live, live_version)
    verdict = (
        "The candidate may go live" if decision.passed else "The candidate is not promoted, what is live stays live"
    )
    log.info("%s: %s.\n%s", verdict, decision.reason, table)
    return decision, table


def register(params: Params, opened: dict[str, Any]) -> dict[str, Any]:
    """Register the candidate once per DAG run.

    Returns:
        `version`, `sha256`, `run_id`, `dataset_digest`.
    """
    name = params["registered_model"]
    with connections.mlflow().session() as client:
        run = client.get_run(opened["run_id"])
        version = versions.register(client, name, run)
    log.info("Version %s of %s", version.version, name)
    return {
        "version": int(version.version),
        "sha256": versions.sha256_of(version),
        "run_id": opened["run_id"],
        "dataset_digest": version.tags["dataset_digest"],
    }


def set_champion(params: Params, version: int, commit: str) -> None:
    """Move the alias to the version that was proved live."""
    name = params["registered_model"]
    with connections.mlflow().session() as client:
        versions.set_champion(client, name, version, commit=commit, environment=params["environment"])
    log.info("%s@%s is version %s", name, versions.CHAMPION, version)
