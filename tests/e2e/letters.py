"""A second detector and a classifier, as a person adds them: the files of `make pipeline`, and a push.

The detector, `letters`, has the demo's dataset and sizes, a registered model and servers apart from the demo's, and
stages that differ: a version is a candidate first, and continues to production after a soak and a person's approval.
The classifier, `digits-classes`, is the example of dags/examples/, served beside the letters in staging.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.e2e.platform_under_test import ROOT, Platform
from tools.pipeline import ENTRY, make

DAG = "letters"
MODEL = "letters-detector"
STAGES = [
    {"environment": "staging", "app": "letters", "model": "letters", "proof": "candidate"},
    {"environment": "production", "app": "letters", "model": "letters", "by": "approval", "soak": "5s"},
]
CLASSES = "digits-classes"
VALUES = [f"argocd-apps/{stage['environment']}/{stage['app']}/values.yaml" for stage in STAGES]


def write_files(repository: Path) -> None:
    """Write `dags/` and `argocd-apps/` of the checkout with the second detector's files, and the classifier's DAG."""
    for folder in ("dags", "argocd-apps"):
        shutil.copytree(ROOT / folder, repository / folder)
    pipelines = repository / "dags" / "pipelines"
    content = yaml.safe_load((pipelines / "digits.yaml").read_text())
    content.update(registered_model=MODEL, stages=STAGES)
    (pipelines / "letters.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    written, _ = make(repository, "letters", model="", dataset="", stages=[])
    assert [path.relative_to(repository).as_posix() for path in written] == ["dags/pipelines/letters.py", *VALUES]
    example = yaml.safe_load((ROOT / "dags" / "examples" / f"{CLASSES}.yaml").read_text())
    example["stages"] = [{**STAGES[0], "model": CLASSES, "proof": "after"}]
    (pipelines / f"{CLASSES}.yaml").write_text(yaml.safe_dump(example, sort_keys=False))
    (pipelines / f"{CLASSES}.py").write_text(ENTRY)


def push(platform: Platform, folder: Path) -> None:
    """Push the detector's entries, and wait until Argo CD has both Applications."""

    def copy() -> list[str]:
        for file in VALUES:
            (folder / file).parent.mkdir()
            shutil.copyfile(platform.dags.parent / file, folder / file)
        return VALUES

    pushed(platform, folder, copy, "A detector: letters")
    # Argo CD would look by itself within minutes.
    now = {"metadata": {"annotations": {"argocd.argoproj.io/application-set-refresh": "true"}}}
    path = "apis/argoproj.io/v1alpha1/namespaces/argocd"
    api, deadline = platform.api(), time.monotonic() + 120
    api.request("PATCH", f"{path}/applicationsets/model-servers", now, "application/merge-patch+json")
    wanted = {f"{stage['environment']}-{stage['app']}" for stage in STAGES}
    while not wanted <= {found["metadata"]["name"] for found in api.request("GET", f"{path}/applications")["items"]}:
        assert time.monotonic() < deadline, "Argo CD has not made the Applications"
        time.sleep(0.5)


def push_classifier(platform: Platform, folder: Path) -> None:
    """Push the classifier's files: `make pipeline` adds its entry to the values file that the letters have."""

    def add() -> list[str]:
        file = f"dags/pipelines/{CLASSES}.yaml"
        shutil.copyfile(platform.dags.parent / file, folder / file)
        written, _ = make(folder, CLASSES, model="", dataset="", stages=[])
        return [file, *(path.relative_to(folder).as_posix() for path in written)]

    pushed(platform, folder, add, "A classifier: digits-classes")


def pushed(platform: Platform, folder: Path, change: Callable[[], list[str]], message: str) -> None:
    """Commit a change of files in a new clone of the platform's remote, and push it."""

    def git(*arguments: str) -> None:
        person = ("-c", "user.name=A person", "-c", "user.email=person@example.com")
        subprocess.run(["git", "-C", str(folder), *person, *arguments], check=True, capture_output=True)

    folder.mkdir(exist_ok=True)
    git("clone", "--quiet", str(platform.home / "git" / "yolo-lifecycle.git"), ".")
    git("add", *change())
    git("commit", "--quiet", "-m", message)
    git("push", "--quiet", "origin", "HEAD:main")
