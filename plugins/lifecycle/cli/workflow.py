"""`workflow`: a pipeline's file as objects of Argo Workflows."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from lifecycle.settings import settings

SUMMARY = "a pipeline's WorkflowTemplate, and the CronWorkflow of its schedule, as YAML for kubectl"
HEADER = "# Made of dags/pipelines/{name}.yaml by `python -m lifecycle workflow`: change that, and make this again.\n"


def add(command: argparse.ArgumentParser) -> None:
    """The options of `workflow`."""
    command.add_argument("file", type=Path, help="dags/pipelines/<name>.yaml")


def text(options: argparse.Namespace) -> str:
    """What is to be printed.

    Raises:
        BadPipeline: the file is wrong, or asks for what a workflow does not do.
    """
    # It imports the Kubernetes client, most of what the other commands would take to start.
    from lifecycle.workflows import objects

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump_all([_readable(each) for each in objects(options.file, settings())], stream)
    return HEADER.format(name=options.file.stem) + stream.getvalue().rstrip()


def _readable(value: Any) -> Any:
    """Texts of several lines as blocks, as a person would write them."""
    if isinstance(value, dict):
        return {key: _readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value
