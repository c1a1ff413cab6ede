"""The command line, and what an error becomes: a paragraph on stderr, and a status that says whether a retry helps."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import traceback
from pathlib import Path

from lifecycle.cli import questions, steps, workflow
from lifecycle.cli.results import Results
from lifecycle.connections import use
from lifecycle.connections.environment import EnvironmentConnections
from lifecycle.errors import LifecycleError
from lifecycle.policy.retries import BAD_INPUT, why_no_retry

DESCRIPTION = """\
Steps of a pipeline, its workflow, and questions about what is live, without Airflow. A step prints what it returned as
JSON, and its log on stderr. Exit status 1: a retry may help; 2: it cannot."""


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle", description=DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, step in steps.STEPS.items():
        summary = (step.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument(
            "--results", type=Path, required=True, help="folder of the run, in which each step leaves what it returned"
        )
        command.add_argument("--outputs", type=Path, help="folder for small files with what a workflow asks of a step")
    opens = commands.choices["open"]
    opens.add_argument("--run", required=True, help="<pipeline>/<run>, as commits and versions name it")
    opens.add_argument("--pipeline", required=True, help="text of dags/pipelines/<name>.yaml, or @file")
    opens.add_argument("--params", default="", help="other values for this run: JSON, or Argo's list of parameters")
    opens.add_argument("--page", default="", help="address of the run's page, for people")
    commands.choices["changes"].add_argument("--image", default="", help="the trainer's; default: as the setting says")
    commands.choices["close"].add_argument("--failures", default="", help="JSON list of the steps that failed")
    for name, (summary, add) in {
        "lineage": (questions.SUMMARY, questions.add),
        "workflow": (workflow.SUMMARY, workflow.add),
    }.items():
        add(commands.add_parser(name, help=summary, description=summary, allow_abbrev=False))
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run a command; 0, 1 (a retry may help) or 2 (it cannot)."""
    options = arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    use(EnvironmentConnections())
    try:
        sys.stdout.write(f"{_run(options)}\n")
    except Exception as error:
        if not isinstance(error, LifecycleError):
            traceback.print_exc()
        sys.stderr.write(f"ERROR: {error if isinstance(error, LifecycleError) else repr(error)}\n")
        return BAD_INPUT if options.command in steps.STEPS and why_no_retry(error, None) else 1
    return 0


def _run(options: argparse.Namespace) -> str:
    """What is to be printed."""
    if options.command == "lineage":
        return questions.ask(options)
    if options.command == "workflow":
        return workflow.text(options)
    if options.command == "open" and options.pipeline.startswith("@"):
        options.pipeline = Path(options.pipeline[1:]).read_text(encoding="utf-8")
    done = steps.run(options.command, Results(options.results), options)
    if options.outputs:
        _write(options.outputs, {"continue": "false" if done.skipped else "true", **done.outputs})
    if done.skipped:
        logging.getLogger(__name__).warning("Skipped: %s", done.skipped)
    return json.dumps(dict(done.value), ensure_ascii=False)


def _write(folder: Path, outputs: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in outputs.items():
        (folder / name).write_text(text, encoding="utf-8")
