"""Reads a pipeline's file, and says in a person's words what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lifecycle.errors import BadPipeline
from lifecycle.pipelines.spec import Pipeline
from lifecycle.pipelines.values import DNS_LABEL

NAME_LIMIT = 63
# Pydantic's words, where a person who writes YAML needs others.
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a key of this file",
    "model_type": "must be a mapping",
    "tuple_type": "must be a list",
}


def load(path: Path) -> Pipeline:
    """Read one file.

    Args:
        path: `<name>.yaml`; the name is the DAG's id.

    Raises:
        BadPipeline: the message names the file, every key that is wrong, and what it may be; or the other file that
            writes the same entry.
    """
    pipeline = parse(path)
    _check_neighbours(path, pipeline)
    return pipeline


def check_name(name: str) -> None:
    """Check a pipeline's name, which is its DAG's id.

    Raises:
        BadPipeline: it cannot be one.
    """
    if not re.fullmatch(DNS_LABEL, name) or len(name) > NAME_LIMIT:
        raise BadPipeline(
            f"{name!r} cannot be a pipeline's name: at most {NAME_LIMIT} lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends."
        )


def parse(path: Path) -> Pipeline:
    """Read one file by itself, whatever the others say; see `load`."""
    check_name(path.stem)
    shown = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadPipeline(
            f"{shown} is missing. Bring it back, or remove {path.stem}.py too if the pipeline is to go."
        ) from None
    except UnicodeDecodeError as error:
        raise BadPipeline(f"{shown} is not valid YAML: {str(error).splitlines()[0]}") from None
    return parse_text(text, shown)


def parse_text(text: str, shown: str) -> Pipeline:
    """Read a file's text; `shown`: its name, for the message. See `load`."""
    try:
        # YAML 1.2, as the values files are read: `on` and `no` are text, and a key that is there twice is an error.
        content = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadPipeline(f"{shown}, line {line}: not valid YAML: {error.problem}. Correct that line.") from None
    except YAMLError as error:
        raise BadPipeline(f"{shown} is not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise BadPipeline(f"{shown} must be a mapping with registered_model, dataset, train and stages.")
    try:
        return Pipeline.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(f"- {problem}" for problem in problems_of(error))
        raise BadPipeline(f"{shown} cannot be used; schema.json beside it has every key.\n{problems}") from None


def problems_of(error: ValidationError) -> Iterable[str]:
    """What is wrong, a line for each key."""
    for found in error.errors(include_url=False):
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"]).lstrip(".")
        said = found["msg"].removeprefix("Value error, ")
        said = WORDS.get(found["type"], said[0].lower() + said[1:])
        if isinstance(found["input"], str | int | float | bool | None) and found["type"] != "missing":
            said = f"{said} (it is {_shown(found['input'])})"
        yield f"{where}: {said}" if where else said


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _check_neighbours(path: Path, pipeline: Pipeline) -> None:
    """Two files that write one entry would undo each other's releases; neither runs until a person has decided."""
    entries = {stage.entry for stage in pipeline.stages}
    for other in sorted(path.parent.glob("*.yaml")):
        if other == path:
            continue
        try:
            theirs = {stage.entry for stage in parse(other).stages}
        except BadPipeline:  # that file's own DAG says it
            continue
        if shared := sorted(entries & theirs):
            raise BadPipeline(
                f"{path.parent.name}/{path.name}: stages: {', '.join(shared)} is written by {other.name} too. An entry "
                "belongs to one pipeline: give one of them another app or model."
            )
