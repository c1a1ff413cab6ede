"""From a pipeline's file to its DAG: train, evaluate, register, promote by one commit, verify."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, chain

from lifecycle import kinds, params, pipelines
from lifecycle.assets import watched_dataset
from lifecycle.candidate import candidate_tasks
from lifecycle.catalog import stages_of
from lifecycle.errors import BadPipeline
from lifecycle.model.names import RESTORE, WAIT_FOR_ROLLOUT
from lifecycle.operators.approval import approvals
from lifecycle.operators.pods import trainer_pods
from lifecycle.operators.restore import RestoreOperator
from lifecycle.pipelines import Pipeline
from lifecycle.pipelines.resources import settings_for
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.settings import Settings, settings
from lifecycle.stages import later_stages
from lifecycle.tasks.changes import find_changes
from lifecycle.tasks.closing import close_run
from lifecycle.tasks.defaults import default_args
from lifecycle.tasks.lifecycle import gate, open_run, promote, register
from lifecycle.tasks.serving import set_alias, verify_serving

DOC = """
### {name}

Trains a model ({title}) and puts it live: `prepare`, `train` and `evaluate` run as pods, `register` makes the version
in MLflow, `promote` writes it into `argocd-apps/<environment>/<app>/values.yaml` by **one commit**, Argo CD rolls it
out, and `verify_serving` asks Triton itself which version answers and whether its answers are right.

With `proof: candidate`, the version first proves itself on a server that no client reaches, and one that fails is taken
away by `discard_candidate`: what is live is never touched.

A candidate below the least {figure}, or worse than the live version, is not promoted: the run ends with skipped tasks.
A rollout that fails is taken back by `restore`, and the run fails. `close_run` ends the MLflow run in the same state.
To go back by hand: `yolo_rollback`.

A stage after the first gets the same version by itself, after a person's approval or by merge request, in a group of
its name here. One that is `manual` gets it from `yolo_promote`.

`dags/pipelines/{name}.yaml`, whose values are the form's defaults:

```yaml
{text}```
"""


def pipeline_dag(entry: str) -> DAG:
    """Make the DAG of the file beside `entry` that has the same name and ends in .yaml.

    Airflow's DAG processor reads Python files only, and one that raises has all its DAGs marked as stale: with a Python
    file for each pipeline, a mistake in one is an import error of that one alone.

    Raises:
        BadPipeline: the file is wrong; Airflow shows the message as the import error.
    """
    file = Path(entry).with_suffix(".yaml")
    pipeline = pipelines.load(file)
    chosen = settings_for(pipeline, settings())
    _check_requests(file, pipeline, chosen)
    with DAG(
        dag_id=file.stem,
        description=" → ".join(
            [pipeline.dataset, pipeline.registered_model, *(stage.entry for stage in pipeline.stages)]
        ),
        doc_md=_doc(file, kinds.find(pipeline.task)),
        schedule=_schedule(file.stem, pipeline),
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=chosen.max_active_runs,
        tags=["yolo", "training", "gitops"],
        params=params.lifecycle(pipeline),
        default_args=default_args(retries=2),
    ) as dag:
        _wire(pipeline, chosen)
        # After all others, whatever the file and the settings make of them.
        dag.leaves >> close_run()
    return dag


def _doc(file: Path, kind: kinds.Kind) -> str:
    """What Airflow shows of the DAG."""
    text = file.read_text(encoding="utf-8")
    return DOC.format(name=file.stem, title=kind.title, figure=kind.decisive, text=text)


def _check_requests(file: Path, pipeline: Pipeline, chosen: Settings) -> None:
    """A merge request needs a host, which the setting names where the stage does not."""
    for number, stage in enumerate(pipeline.stages):
        if stage.by == "request" and (stage.delivery or chosen.gitops_delivery) == "push":
            raise BadPipeline(
                f"{file.parent.name}/{file.name}: stages[{number}].by: request needs a git host, and "
                "LIFECYCLE_GITOPS_DELIVERY is push. Set the stage's delivery to github, gitlab or gitea."
            )


def _schedule(name: str, pipeline: Pipeline) -> CronTriggerTimetable | AssetOrTimeSchedule | Asset | None:
    run = pipeline.run
    cron = None if run.schedule is None else CronTriggerTimetable(run.schedule, timezone=run.timezone)
    if run.on_dataset_change is None:
        return cron
    dataset = watched_dataset(name, pipeline.dataset, run.on_dataset_change)
    return dataset if cron is None else AssetOrTimeSchedule(timetable=cron, assets=[dataset])


def _wire(pipeline: Pipeline, chosen: Settings) -> None:
    """Wire the tasks: those up to the first stage, then the other stages'."""
    delivery, stages = pipeline.stages[0].delivery or "", stages_of([pipeline])
    opened: Any = open_run(pipeline.task)
    registered: Any = register(opened)
    promoted: Any = promote(registered, delivery)
    rollout = ApplicationRolloutSensor(
        task_id=WAIT_FOR_ROLLOUT,
        **params.TARGET,
        commit=promoted["commit"],
        version=registered["version"],
        code_commit=promoted["code_commit"],
        request_url=promoted["request_url"],
        delivery=delivery,
    )
    served: Any = verify_serving.override(retries=4)(promoted["pin"])
    restore = RestoreOperator(
        task_id=RESTORE,
        **params.TARGET,
        registered_model="{{ params.registered_model }}",
        delivery=delivery,
        trigger_rule=TriggerRule.ONE_FAILED,
    )
    prepare, train, evaluate = trainer_pods(chosen, run_id=opened["run_id"], task=pipeline.task)
    changes: Any = find_changes(opened, image=chosen.trainer_image)
    proof = pipeline.stages[0].proof or chosen.proof
    candidate = candidate_tasks(proof, registered, promoted, delivery=delivery)
    tried = [*approvals(chosen), *candidate, promoted]
    chain(prepare, changes, train, evaluate, gate(opened), registered, *tried, rollout, served)
    rolled: Any = rollout.output
    live = set_alias.override(retries=4)("{{ params.registered_model }}", served, rolled, stages)
    [rollout, served] >> restore
    later_stages(pipeline, stages, chosen, registered["version"], promoted["pin"], live)
