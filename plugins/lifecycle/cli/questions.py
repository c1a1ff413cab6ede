"""`lineage`: from a running server back to its origins."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from lifecycle.mlflow import lineage

SUMMARY = "the chain from a running server back to version, run, dataset, DAG run and commit"


def add(command: argparse.ArgumentParser) -> None:
    """The options of `lineage`."""
    command.add_argument("--url", required=True, help="Triton's address, such as http://127.0.0.1:8000")
    command.add_argument("--model", required=True, help="Triton's name of the model")
    command.add_argument("--protocol", choices=("http", "grpc"), default="http")
    command.add_argument("--tracking-uri", help="the MLflow server (default: MLFLOW_TRACKING_URI)")
    command.add_argument("--json", action="store_true", help="print JSON")


def ask(options: argparse.Namespace) -> str:
    """What is to be printed.

    Raises:
        LifecycleError: the server or MLflow does not answer, or not as expected.
    """
    served = lineage.ask(options.url, options.model, options.protocol)
    # MLflow takes longer to import than a server that is down takes to say nothing.
    from mlflow import MlflowClient

    from lifecycle.mlflow.errors import typed_errors

    client = MlflowClient(tracking_uri=options.tracking_uri)
    with typed_errors(client.tracking_uri):
        chain = lineage.trace(client, served, options.url, options.model)
    return json.dumps([asdict(link) for link in chain], indent=2) if options.json else lineage.text(chain)
