"""The MLflow run that belongs to a DAG run: opened once, found again by its tags, ended with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle import kinds
from lifecycle.errors import RegistryError
from lifecycle.kinds import Kind
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.policy.promotion import Shown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

    from lifecycle.policy.outcome import Outcome

OUTCOME = "**Outcome:**"
OLDEST_FIRST = ["attributes.start_time ASC"]
# So many runs that earlier DAG runs left RUNNING are ended at a time.
LEFT_RUNNING = 20


@dataclass(frozen=True)
class RunFacts:
    """Where a run came from, and how good its model was on the held-out split (none: not measured)."""

    dag_run: str
    dataset: str
    dataset_digest: str
    classes: int
    kind: Kind
    figures: dict[str, float]

    @property
    def measured(self) -> str:
        """The figures in words; empty: not measured."""
        return ", ".join(f"{name} {value:.4f}" for name, value in self.figures.items())


def open_run(
    client: MlflowClient, experiment: Experiment, *, dag_id: str, dag_run_id: str, tags: dict[str, str], page: str = ""
) -> str:
    """Return the id of the run tagged with this DAG run, set to RUNNING; create it if there is none.

    A new one's description links to `page`, the DAG run's.
    """
    found = client.search_runs(
        [experiment.experiment_id], _of_dag_run(dag_id, dag_run_id), max_results=1, order_by=OLDEST_FIRST
    )
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
    else:
        name = f"{dag_id}/{dag_run_id}"
        description = f"Run of the DAG: {f'[{name}]({page})' if page else f'`{name}`'}."
        every = {names.DAG_ID: dag_id, names.DAG_RUN_ID: dag_run_id, names.DESCRIPTION: description, **tags}
        run_id = str(client.create_run(experiment.experiment_id, tags=every, run_name=dag_run_id).info.run_id)
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    return run_id


def close(client: MlflowClient, run_id: str, ended: Outcome) -> None:
    """Give a run its last state, and say in a tag and in its description how the DAG run ended."""
    client.set_tag(run_id, names.OUTCOME, ended.text)
    client.set_tag(run_id, names.DESCRIPTION, _described_end(client.get_run(run_id), ended))
    client.set_terminated(run_id, ended.status)


def _described_end(run: Run, ended: Outcome) -> str:
    """The run's description, whoever wrote it, and at its end what came of the run."""
    kept = run.data.tags.get(names.DESCRIPTION, "").partition(f"\n\n{OUTCOME}")[0]
    facts = describe(run)
    said = f"{OUTCOME} {ended.text}."
    if facts.measured:
        said += f" On the test split of `{facts.dataset}`: {facts.measured}."
    return f"{kept}\n\n{said}"


def find(client: MlflowClient, dag_id: str, dag_run_id: str) -> str | None:
    """Return the id of the run of a DAG run, in whichever experiment it is; None: it has none."""
    token: str | None = None
    while True:
        experiments = client.search_experiments(max_results=1000, page_token=token)
        ids = [experiment.experiment_id for experiment in experiments]
        found = client.search_runs(ids, _of_dag_run(dag_id, dag_run_id), max_results=1) if ids else []
        if found:
            return str(found[0].info.run_id)
        token = experiments.token
        if not token:
            return None


def close_left(
    client: MlflowClient, experiment: Experiment, dag_id: str, end_of: Callable[[str], Outcome | None]
) -> list[str]:
    """End runs that are RUNNING although their DAG run ended: while MLflow was down, or without its last task.

    Args:
        client: of the MLflow server.
        experiment: in which runs are looked for; the oldest first, `LEFT_RUNNING` at most.
        dag_id: whose runs.
        end_of: how the DAG run of an id ended; None: it has not.

    Returns:
        The ids of those DAG runs.
    """
    query = f"attributes.status = 'RUNNING' and tags.{names.DAG_ID} = '{dag_id}'"
    found = client.search_runs([experiment.experiment_id], query, max_results=LEFT_RUNNING, order_by=OLDEST_FIRST)
    closed = []
    for run in found:
        dag_run_id = str(run.data.tags.get(names.DAG_RUN_ID, ""))
        ended = end_of(dag_run_id)
        if ended is not None:
            close(client, run.info.run_id, ended)
            closed.append(dag_run_id)
    return closed


def _of_dag_run(dag_id: str, dag_run_id: str) -> str:
    """A filter for MLflow. Airflow allows no quotes in either id."""
    return f"tags.{names.DAG_ID} = '{dag_id}' and tags.{names.DAG_RUN_ID} = '{dag_run_id}'"


def open_experiment(client: MlflowClient, name: str) -> Experiment:
    """Return the experiment of this name; create it if there is none.

    Raises:
        RegistryError: it is deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.get_experiment(client.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another DAG run was quicker
    if experiment is None or experiment.lifecycle_stage != "active":
        raise RegistryError(
            f"The MLflow experiment {name!r} is deleted. Restore it (`mlflow experiments restore`) or choose another "
            "registered_model, whose name is also the experiment's."
        )
    return experiment


def required_tag(run: Run, key: str, writer: str) -> str:
    """Return a tag of the run.

    Raises:
        RegistryError: `writer` (a task) did not leave it.
    """
    value = run.data.tags.get(key)
    if not value:
        raise RegistryError(
            f"The MLflow run {run.info.run_id} has no tag {key!r}, which the task {writer!r} writes. Look at that "
            "task's log, and clear it to run it again."
        )
    return str(value)


def required_metric(run: Run, key: str, writer: str) -> float:
    """Return a metric of the run, a finite number.

    Raises:
        RegistryError: `writer` (a task) did not leave it, or left no number.
    """
    value = run.data.metrics.get(key)
    if value is None or not math.isfinite(value):
        raise RegistryError(
            f"The MLflow run {run.info.run_id} has no usable metric {key!r} (it is {value}), which the task {writer!r} "
            "writes. Look at that task's log, and clear it to run it again."
        )
    return float(value)


def download(client: MlflowClient, run_id: str, path: str, into: Path) -> Path:
    """Download a folder of the run's artifacts.

    Raises:
        RegistryError: the run has no such folder, or it is empty.
    """
    if not client.list_artifacts(run_id, path):
        raise RegistryError(
            f"The MLflow run {run_id} has no artifacts under {path!r}: the step that writes them did not finish there. "
            "Run the DAG again to make them."
        )
    return Path(client.download_artifacts(run_id, path, str(into)))


def describe(run: Run) -> RunFacts:
    """What lineage shows of a run."""
    tags, metrics = run.data.tags, run.data.metrics
    kind = kinds.tagged(tags)
    measured = {name: metrics.get(names.metric(names.CANDIDATE_SPLIT, name)) for name in kind.figures}
    return RunFacts(
        dag_run=f"{tags.get(names.DAG_ID, '?')}/{tags.get(names.DAG_RUN_ID, '?')}",
        dataset=tags.get(names.DATASET, ""),
        dataset_digest=tags.get(names.DATASET_DIGEST, ""),
        classes=_classes(tags.get(names.CLASS_NAMES, "[]")),
        kind=kind,
        figures={name: value for name, value in measured.items() if value is not None},
    )


def shown(client: MlflowClient, pin: Pin) -> Shown:
    """A version as an approval shows it."""
    facts = describe(client.get_run(pin.run_id))
    return Shown(
        version=pin.number,
        run_id=pin.run_id,
        figures={name: facts.figures.get(name) for name in facts.kind.figures},
        dataset=facts.dataset,
        dataset_digest=facts.dataset_digest,
        dag_run=facts.dag_run,
    )


def _classes(tag: str) -> int:
    """How many classes the tag `class_names` lists, or counts where there are too many for a tag."""
    told = json.loads(tag)
    return int(told["count"]) if isinstance(told, dict) else len(told)
