"""Whether a run has anything to train: the task between `prepare`, which knows the data, and `train`."""

from __future__ import annotations

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.model import names
from lifecycle.model.results import OpenedRun
from lifecycle.steps import changes
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK


@task(
    execution_timeout=QUICK,
    doc_md="Compares data, weights, settings and image with the live version's; skips the rest if the run says so.",
)
def find_changes(opened: OpenedRun, image: str) -> list[str]:
    """Compare with the live version; return what is other.

    Raises:
        AirflowSkipException: nothing is, and the run has `skip_unchanged`.
    """
    found = changes.find_changes(context.lifecycle_params(), opened, image)
    if found["skipped"]:
        # Airflow's log does not say why a task was skipped.
        context.task_instance().xcom_push(key=names.REASON_KEY, value=found["skipped"])
        raise AirflowSkipException(found["skipped"])
    return found["changes"]
