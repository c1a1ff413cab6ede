"""A second detector, `letters`, as a person adds it: the files of `make pipeline`, and a push.

It has the demo's dataset and sizes, a registered model and servers apart from the demo's, and stages that differ: a
version is a candidate first, and continues to production after a soak and a person's approval.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import yaml

from tests.e2e.platform_under_test import ROOT, Platform
from tools.pipeline import make

MODEL = "letters-detector"
STAGES = [
    {"environment": "staging", "app": "letters", "model": "letters", "proof": "candidate"},
    {"environment": "production", "app": "letters", "model": "letters", "by": "approval", "soak": "5s"},
]
VALUES = [f"argocd-apps/{stage['environment']}/{stage['app']}/values.yaml" for stage in STAGES]


def write_files(repository: Path) -> None:
    """Write `dags/` and `argocd-apps/` of the checkout with the second detector's files."""
    for folder in ("dags", "argocd-apps"):
        shutil.copytree(ROOT / folder, repository / folder)
    pipelines = repository / "dags" / "pipelines"
    content = yaml.safe_load((pipelines / "digits.yaml").read_text())
    content.update(registered_model=MODEL, stages=STAGES)
    (pipelines / "letters.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    written, _ = make(repository, "letters", model="", dataset="", stages=[])
    assert [path.relative_to(repository).as_posix() for path in written] == ["dags/pipelines/letters.py", *VALUES]


def push(platform: Platform, folder: Path) -> None:
    """Commit the entries in a clone, push it to the platform's remote, and wait until Argo CD has both Applications."""

    def git(*arguments: str) -> None:
        person = ("-c", "user.name=A person", "-c", "user.email=person@example.com")
        subprocess.run(["git", "-C", str(folder), *person, *arguments], check=True, capture_output=True)

    folder.mkdir(exist_ok=True)
    git("clone", "--quiet", str(platform.home / "git" / "yolo-lifecycle.git"), ".")
    for file in VALUES:
        (folder / file).parent.mkdir()
        shutil.copyfile(platform.dags.parent / file, folder / file)
    git("add", *VALUES)
    git("commit", "--quiet", "-m", "A detector: letters")
    git("push", "--quiet", "origin", "HEAD:main")
    # Argo CD would look by itself within minutes.
    now = {"metadata": {"annotations": {"argocd.argoproj.io/application-set-refresh": "true"}}}
    path = "apis/argoproj.io/v1alpha1/namespaces/argocd"
    api, deadline = platform.api(), time.monotonic() + 120
    api.request("PATCH", f"{path}/applicationsets/model-servers", now, "application/merge-patch+json")
    wanted = {f"{stage['environment']}-{stage['app']}" for stage in STAGES}
    while not wanted <= {found["metadata"]["name"] for found in api.request("GET", f"{path}/applications")["items"]}:
        assert time.monotonic() < deadline, "Argo CD has not made the Applications"
        time.sleep(0.5)
