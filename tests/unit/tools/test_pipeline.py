"""`make pipeline`: what it writes can be used, what is there stays, and a refusal leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lifecycle.errors import BadPipeline
from lifecycle.gitops.errors import FileRefused
from lifecycle.pipelines import load

from tests.support.paths import ROOT
from tests.support.pipelines import ENTRY
from tools import pipeline
from tools.pipeline import Refused, make, said

STAGING = "argocd-apps/staging/detector/values.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with this one's pipelines and environments."""
    shutil.copytree(ROOT / "argocd-apps", tmp_path / "argocd-apps")
    shutil.copytree(ROOT / "dags" / "pipelines", tmp_path / "dags" / "pipelines")
    return tmp_path


def letters(
    root: Path,
    name: str = "letters",
    *,
    model: str = "",
    dataset: str = "s3://bucket/letters.zip",
    stages: str = "staging production",
) -> list[str]:
    written, made = make(root, name, model=model or f"{name}-detector", dataset=dataset, stages=stages.split())
    told = said(root, name, written, made)
    assert all(f"\n  {number}. " in told for number in (1, 2, 3)), "the next steps"
    return [path.relative_to(root).as_posix() for path in written]


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_detector_has_its_file_its_entry_and_an_entry_in_each_stage(root: Path) -> None:
    before = files(root)
    assert letters(root) == [
        "dags/pipelines/letters.yaml",
        "dags/pipelines/letters.py",
        STAGING,
        "argocd-apps/production/detector/values.yaml",
    ]
    read = load(root / "dags/pipelines/letters.yaml")
    assert (read.registered_model, read.dataset) == ("letters-detector", "s3://bucket/letters.zip")
    assert [(stage.entry, stage.by) for stage in read.stages] == [
        ("staging/detector/letters", "auto"),
        ("production/detector/letters", "approval"),
    ]
    assert (root / "dags/pipelines/letters.py").read_text() == ENTRY.read_text()
    values = (root / STAGING).read_text()
    assert values.startswith(before[STAGING].decode()), "what was there stays as it is, byte for byte"
    added = {"name": "letters", "registeredModel": "letters-detector", "version": None}
    added |= dict.fromkeys(("sha256", "runId", "codeCommit"), "")
    assert yaml.safe_load(values)["models"][-1] == {**added, "hold": False}


def test_called_again_it_changes_nothing_and_adds_a_stage_that_came_to_the_file(root: Path) -> None:
    letters(root)
    before = files(root)
    assert letters(root, dataset="digits", stages="qa") == []
    assert files(root) == before
    file = root / "dags/pipelines/letters.yaml"
    (root / "argocd-apps/qa").mkdir()
    (root / "argocd-apps/qa/environment.yaml").write_text("replicas: 1\n")
    file.write_text(file.read_text() + "  - {environment: qa, app: letters, model: letters}\n")
    assert letters(root) == ["argocd-apps/qa/letters/values.yaml"]
    models = yaml.safe_load((root / "argocd-apps/qa/letters/values.yaml").read_text())["models"]
    assert [model["name"] for model in models] == ["letters"]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"name": "Letters"}, BadPipeline, "'Letters' cannot be a pipeline's name"),
        ({"name": "../letters"}, BadPipeline, "cannot be a pipeline's name"),
        ({"model": "-x"}, BadPipeline, "registered_model: "),
        ({"stages": "staging staging"}, BadPipeline, "the environment staging is in it twice"),
        ({"stages": "moon"}, Refused, "There is no environment 'moon': argocd-apps/ has production, staging"),
        ({"stages": "staging/../x"}, BadPipeline, r"stages\[0\]\.app"),
        ({"dataset": "s3://b/a.zip: {x"}, None, ""),
    ],
)
def test_a_wrong_word_is_refused_and_nothing_is_written(
    root: Path, changes: dict[str, str], error: type[Exception] | None, words: str
) -> None:
    before = files(root)
    if error is None:
        letters(root, **changes)
        assert load(root / "dags/pipelines/letters.yaml").dataset == changes["dataset"]
        return
    with pytest.raises(error, match=words):
        letters(root, **changes)
    assert files(root) == before


def test_an_entry_of_another_model_and_one_of_another_pipeline_are_refused(root: Path) -> None:
    values = root / STAGING
    values.write_text(values.read_text().replace("name: digits", "name: letters"))
    before = files(root)
    with pytest.raises(Refused, match="has a model 'letters' already, of the registered model 'digits-detector'"):
        letters(root)
    assert files(root) == before
    letters(root, "words")
    (root / "dags/pipelines/letters.yaml").write_text((root / "dags/pipelines/words.yaml").read_text())
    with pytest.raises(BadPipeline, match=r"staging/detector/words is written by words\.yaml too"):
        letters(root)


@pytest.mark.parametrize(
    ("text", "indent"),
    [
        ("models: []\n", "  "),
        ("models: [] # none yet\nreplicas: 2\n", "  "),
        (
            "models:\n- {name: a, registeredModel: b, version: 3, sha256: x, runId: y} # live\n\n# two\nreplicas: 2\n",
            "",
        ),
        ("models:\n    - name: a\n      registeredModel: b\n      version: 3\n      sha256: x\n      runId: y", "    "),
    ],
)
def test_lists_are_written_in_several_ways(root: Path, text: str, indent: str) -> None:
    (root / STAGING).write_text(text)
    letters(root)
    after = (root / STAGING).read_text()
    assert f"\n{indent}- name: letters\n" in after
    assert "two" not in text or "# two\n" in after
    former, read = yaml.safe_load(text), yaml.safe_load(after)
    assert read["models"][:-1] == former["models"]
    assert {**read, "models": []} == {**former, "models": []}


def test_a_list_that_cannot_be_added_to_is_left_to_a_person(root: Path) -> None:
    (root / STAGING).write_text("models: [{name: a, registeredModel: b, version: 3, sha256: x, runId: y}]\n")
    before = files(root)
    with pytest.raises((Refused, FileRefused)):
        letters(root)
    assert files(root) == before


def test_the_command_says_in_a_sentence_what_is_wrong() -> None:
    command = [sys.executable, "-m", "tools.pipeline", "Digits"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": "plugins"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pipeline: 'Digits' cannot be a pipeline's name")
    assert ENTRY.read_text() == pipeline.ENTRY


def test_a_new_classifier_says_its_task_and_what_serves_it(root: Path) -> None:
    dataset = "digits?task=classify"
    _, stages = make(root, "shapes", model="shapes-classifier", dataset=dataset, stages=["staging"], task="classify")
    read = load(root / "dags/pipelines/shapes.yaml")
    assert (read.task, read.train.model, read.dataset, len(stages)) == ("classify", "resnet18", dataset, 1)
    assert read.gate.model_dump().keys() == {"min_top1", "max_regression"}
    entries = yaml.safe_load((root / STAGING).read_text())["models"]
    assert [entry.get("template") for entry in entries if entry["name"] == "shapes"] == ["classifier"]


def test_a_task_that_there_is_not_is_refused(root: Path) -> None:
    before = files(root)
    with pytest.raises(Refused, match="no task 'segment': choose classify or detect"):
        make(root, "shapes", model="shapes", dataset="digits", stages=["staging"], task="segment")
    assert files(root) == before


def test_the_example_of_a_classifier_becomes_a_pipeline(root: Path) -> None:
    """As docs/tasks.md has it."""
    shutil.copy(ROOT / "dags/examples/digits-classes.yaml", root / "dags/pipelines")
    written, stages = make(root, "digits-classes", model="unused", dataset="unused", stages=["unused"])
    assert [path.name for path in written] == ["digits-classes.py", "values.yaml"]
    assert [stage.entry for stage in stages] == ["staging/detector/digits-classes"]
    entry = yaml.safe_load((root / STAGING).read_text())["models"][-1]
    assert (entry["registeredModel"], entry["template"]) == ("digits-classifier", "classifier")
