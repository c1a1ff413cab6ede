"""`python -m lifecycle.listeners.close <DAG id> <run id> <status> <outcome>`: ends the MLflow run of a DAG run.

A program and no thread: the scheduler forks its workers, and one that is forked while a thread imports MLflow would
wait for that import for ever.
"""

from __future__ import annotations

import sys
from typing import cast

from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs
from lifecycle.policy.outcome import Outcome, Status


def main(dag_id: str, run_id: str, status: str, text: str) -> None:
    """Give the MLflow run its last state.

    Raises:
        LifecycleError: MLflow does not answer, or refuses.
    """
    with MlflowHook.from_settings().session() as client:
        found = runs.find(client, dag_id, run_id)
        if found:
            runs.close(client, found, Outcome(cast(Status, status), text))
    sys.stdout.write(f"The MLflow run {found} of {dag_id}/{run_id} is {status}: {text}\n" if found else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
