"""`make pipeline NAME=letters`: a new detector, as a file, Airflow's entry, and an entry in each stage's values file.

    python -m tools.pipeline NAME [--model M] [--dataset D] [--stages "staging production/detector"]

What is there stays as it is: called again, it checks the file and adds what is missing, such as the entries of a stage
that was added by hand. Exit code 0: all is there; 1: nothing was changed, and the reason is on stderr.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from lifecycle import kinds
from lifecycle.errors import BadPipeline
from lifecycle.gitops.errors import FileRefused
from lifecycle.gitops.file.entry import read_models
from lifecycle.gitops.file.yamltree import parse_with_ruamel
from lifecycle.pipelines import Pipeline, Stage, load
from lifecycle.pipelines.files import check_name

ROOT = Path(__file__).resolve().parents[1]
APP = "detector"
PLAIN = r"[A-Za-z/][\w./@=?&%+-]*(://[\w./@=?&%+-]+)?"  # needs no quotes in YAML
# The same for every pipeline: what a detector is, is in its file.
ENTRY = '''"""Airflow's entry for the pipeline of the same name: all that it does is in the `.yaml` beside it."""

from lifecycle.wiring import pipeline_dag

dag = pipeline_dag(__file__)
'''
FILE = """# yaml-language-server: $schema=./schema.json
registered_model: {model}
{task}# A path in the workspace, https:// or s3://; docs/datasets.md has what is read. `digits` is made on the spot.
dataset: {dataset}
train:
  model: {start}
  epochs: 100
  image_size: {size}
  batch: 16
gate:
  {least}: {value}
  max_regression: 0.01
run:
  # Cron in quotes, a preset such as @weekly, or none. `on_dataset_change: 15m` runs when the dataset is another one.
  schedule: none
  skip_unchanged: true
stages:
{stages}"""
VALUES = """\
# What is served. A pipeline's run writes version, sha256, runId and codeCommit here, and Argo CD deploys what it reads;
# to go back, revert the commit or trigger yolo_rollback. `hold: true` leaves a model to people: no run bumps it.
models: []
"""
MODEL = """  - name: {name}
    registeredModel: {model}
{template}    version: null
    sha256: ""
    runId: ""
    codeCommit: ""
    hold: false
"""


class Refused(Exception):
    """The pipeline cannot be made; the message says why, and what to choose instead."""


def make(
    root: Path, name: str, *, model: str, dataset: str, stages: list[str], task: str = kinds.DEFAULT
) -> tuple[list[Path], tuple[Stage, ...]]:
    """Write what is missing of a pipeline, or nothing at all.

    Args:
        root: the repository.
        name: of the pipeline: its DAG's id, and Triton's model name in a file that is new.
        model: the registered model, of a file that is new.
        dataset: its address, of a file that is new.
        task: what is trained, of a file that is new.
        stages: `<environment>` or `<environment>/<app>` in their order, of a file that is new.

    Returns:
        The files that were written, and the pipeline's stages.

    Raises:
        Refused, BadPipeline, FileRefused: with nothing written.
    """
    check_name(name)
    file = root / "dags" / "pipelines" / f"{name}.yaml"
    new = not file.exists()
    if new:
        places = [(*stage.split("/", 1), APP)[:2] for stage in stages]
        address = dataset if re.fullmatch(PLAIN, dataset) else json.dumps(dataset)
        text = FILE.format(model=model, dataset=address, stages=_stages(places, name), **_of_task(task))
        file.write_text(text, encoding="utf-8")
    try:
        pipeline = load(file)
        wanted = {file.with_suffix(".py"): ENTRY.encode()}
        for stage in pipeline.stages:
            values = root / "argocd-apps" / stage.environment / stage.app / "values.yaml"
            wanted[values] = _with_entry(root, values, stage, pipeline)
    except (Refused, BadPipeline, FileRefused):
        if new:
            file.unlink()
        raise
    written = [file] if new else []
    for path, content in wanted.items():
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            written.append(path)
    return written, pipeline.stages


def _of_task(task: str) -> dict[str, str]:
    """What a new file says because of its task."""
    if task not in kinds.every():
        raise Refused(f"There is no task {task!r}: choose {' or '.join(kinds.every())}.")
    kind = kinds.find(task)
    return {
        "task": "" if task == kinds.DEFAULT else f"task: {task}\n",
        "start": kind.start,
        "size": str(kind.image_size),
        "least": kind.least,
        "value": str(kind.gate.model_fields[kind.least].default),
    }


def _stages(places: list[tuple[str, ...]], name: str) -> str:
    """The first stage gets what a run makes; a person lets it into the others."""
    lines = [f"  - {{environment: {place[0]}, app: {place[1]}, model: {name}}}" for place in places]
    return "\n".join([*lines[:1], *(f"{line[:-1]}, by: approval}}" for line in lines[1:])]) + "\n"


def _with_entry(root: Path, values: Path, stage: Stage, pipeline: Pipeline) -> bytes:
    """The values file with the stage's entry; as it is, if it has it."""
    model, served_by = pipeline.registered_model, kinds.find(pipeline.task).template
    template = f"    template: {served_by}\n" if served_by else ""
    shown = values.relative_to(root).as_posix()
    environments = sorted(found.parent.name for found in root.glob("argocd-apps/*/environment.yaml"))
    if stage.environment not in environments:
        raise Refused(
            f"There is no environment {stage.environment!r}: argocd-apps/ has {', '.join(environments)}. Name one of "
            "them as the stage, or make its folder with an environment.yaml first."
        )
    content = values.read_bytes() if values.exists() else VALUES.encode()
    there = read_models(content, path=shown)
    for entry in there:
        if entry.name == stage.model:
            if entry.registered_model != model:
                raise Refused(
                    f"{shown} has a model {stage.model!r} already, of the registered model {entry.registered_model!r}, "
                    f"not {model!r}. Choose another name for the pipeline, or remove that entry."
                )
            return content
    added = _appended(content.decode(), MODEL.format(name=stage.model, model=model, template=template))
    after = read_models(added.encode(), path=shown)
    if after[:-1] != there or (after[-1].name, after[-1].registered_model) != (stage.model, model):
        raise Refused(
            f"The entry cannot be added to {shown}, whose list is written in a way of its own. Add it by hand."
        )
    return added.encode()


def _appended(text: str, entry: str) -> str:
    """The text with one more item of the list `models`, indented as those that are there."""
    _, models = parse_with_ruamel(text).get("models")[0]
    if not models.items:
        return text[: models.start].rstrip() + "\n" + entry + text[models.end :].removeprefix("\n")
    last = models.items[-1]
    column = last.start - (text.rfind("\n", 0, last.start) + 1)
    indent = " " * (column - len("- "))
    lines = "".join(f"{indent}{line.removeprefix('  ')}" for line in entry.splitlines(keepends=True))
    end = len(text[: last.end].rstrip())
    return text[:end] + "\n" + lines + text[end:].removeprefix("\n")


def said(root: Path, name: str, written: list[Path], stages: tuple[Stage, ...]) -> str:
    """What was written, and the three next steps."""
    files = "".join(f"  wrote {path.relative_to(root).as_posix()}\n" for path in written) or "  all of it is there\n"
    first = stages[0]
    values = " ".join(sorted({f"argocd-apps/{stage.environment}/{stage.app}/values.yaml" for stage in stages}))
    return (
        f"{files}\nNext:\n"
        f"  1. Put your dataset and training into dags/pipelines/{name}.yaml; `make pipeline NAME={name}` checks it.\n"
        f"  2. git add dags/pipelines/{name}.* {values} && git commit -m 'A pipeline: {name}' && git push\n"
        f"  3. In Airflow, switch the DAG {name} on and press Trigger: it releases to {first.entry}.\n"
    )


def _noun(task: str) -> str:
    """What the registered model's name ends in, where none was given."""
    kind = kinds.every().get(task or kinds.DEFAULT)
    return kind.noun if kind else "model"


def main(argv: list[str]) -> int:
    """Make the pipeline and say what is next; a refusal is one paragraph on stderr."""
    parser = argparse.ArgumentParser(prog="make pipeline", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="its DAG's id and Triton's model name: lower-case letters, digits, hyphens")
    parser.add_argument(
        "--model", default="", help="MLflow's registered model; without it, <name>-detector or the like"
    )
    parser.add_argument("--dataset", default="", help="its address; without it digits, which is made on the spot")
    parser.add_argument("--task", default="", help=f"{' or '.join(kinds.every())}; without it {kinds.DEFAULT}")
    parser.add_argument("--stages", default="", help="environments in their order; without it staging production")
    given = parser.parse_args(argv)
    try:
        written, stages = make(
            ROOT,
            given.name,
            model=given.model or f"{given.name}-{_noun(given.task)}",
            dataset=given.dataset or "digits",
            task=given.task or kinds.DEFAULT,
            stages=(given.stages or "staging production").split(),
        )
    except (Refused, BadPipeline, FileRefused) as error:
        sys.stderr.write(f"pipeline: {error}\n")
        return 1
    sys.stdout.write(said(ROOT, given.name, written, stages))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
