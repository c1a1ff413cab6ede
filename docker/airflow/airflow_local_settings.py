"""Imported by every Airflow component at its start: brings in once what each task would otherwise import anew.

A task runs in a fork of its worker, and a DAG file is parsed in a fork of the DAG processor. Importing the Kubernetes
and MLflow clients there takes four to five seconds each time; in the parent it is done before the fork.
"""

from __future__ import annotations

import importlib
import sys

KUBERNETES = ("airflow.providers.cncf.kubernetes.operators.pod",)
MLFLOW = ("mlflow", "mlflow.tracking", "mlflow.exceptions")

# With LocalExecutor the tasks are forks of the scheduler; a Celery worker forks them itself.
PRELOADED = {
    "scheduler": KUBERNETES + MLFLOW,
    "worker": KUBERNETES + MLFLOW,
    "dag-processor": KUBERNETES,
    "triggerer": KUBERNETES,
}

for _component, _modules in PRELOADED.items():
    if _component in sys.argv[:3]:
        for _module in _modules:
            importlib.import_module(_module)
