"""`python -m lifecycle <command>`: questions about the lifecycle from a shell, without Airflow."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from lifecycle.errors import LifecycleError
from lifecycle.mlflow import lineage


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    summary = "the chain from a running server back to version, run, dataset, DAG run and commit"
    command = commands.add_parser("lineage", help=summary, description=summary)
    command.add_argument("--url", required=True, help="Triton's address, such as http://127.0.0.1:8000")
    command.add_argument("--model", required=True, help="Triton's name of the model")
    command.add_argument("--protocol", choices=("http", "grpc"), default="http")
    command.add_argument("--tracking-uri", help="the MLflow server (default: MLFLOW_TRACKING_URI)")
    command.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run a command; return 0, or 1 after an error, which is one paragraph on stderr."""
    from mlflow import MlflowClient

    from lifecycle.mlflow.errors import typed_errors

    options = arguments(argv)
    try:
        served = lineage.ask(options.url, options.model, options.protocol)
        client = MlflowClient(tracking_uri=options.tracking_uri)
        with typed_errors(client.tracking_uri):
            chain = lineage.trace(client, served, options.url, options.model)
    except LifecycleError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    shown = json.dumps([asdict(link) for link in chain], indent=2) if options.json else lineage.text(chain)
    sys.stdout.write(f"{shown}\n")
    return 0
