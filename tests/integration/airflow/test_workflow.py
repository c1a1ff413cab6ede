"""A pipeline's workflow, step by step without Airflow: the same commit, tags, aliases and ends as the DAG's.

The steps are those of the rendered WorkflowTemplate; only the controller is stood in for
(tests/support/argo_workflows.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Platform
from tests.integration.airflow.servers import HERE
from tests.support.argo_workflows import Walk
from tests.support.paths import ROOT

PIPELINE = ROOT / "dags" / "pipelines" / "digits.yaml"
LATE = ("register", "promote", "wait", "verify", "champion")


class Steps:
    """The process that runs `python -m lifecycle`; `said`: what each command printed on stderr, by the command."""

    def __init__(self, log: Path) -> None:
        path = f"{ROOT / 'plugins'}:{ROOT / 'clients' / 'python'}"
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "step_runner.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        self.said: dict[str, str] = {}

    def __call__(self, argv: list[str], variables: dict[str, str]) -> tuple[int, str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"argv": argv, "variables": variables}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.said[argv[0]] = answer["err"]
        return answer["status"], answer["out"]

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    made = Steps(tmp_path_factory.mktemp("steps") / "log")
    yield made
    made.close()


@pytest.fixture(scope="module")
def template(steps: Steps) -> dict[str, Any]:
    """The WorkflowTemplate of the demo's pipeline, as the command prints it."""
    from ruamel.yaml import YAML

    status, printed = steps(["workflow", str(PIPELINE)], {})
    assert status == 0, steps.said
    found: dict[str, Any] = YAML(typ="safe").load(printed)
    return found


def walk(platform: Platform, template: dict[str, Any], steps: Steps, folder: Path, name: str, **params: Any) -> Walk:
    """Walk it to its end; pods of the trainer are those of the double."""
    own = {
        "MLFLOW_TRACKING_URI": platform.servers.mlflow_url,
        "KUBECONFIG": str(platform.servers.account),
        **{key: value for key, value in os.environ.items() if key.startswith("LIFECYCLE_")},
    }

    def start(command: list[str], variables: dict[str, str]) -> int:
        if command[2] == "lifecycle":
            return steps(command[3:], own)[0]
        done = subprocess.run(
            [sys.executable, *command[1:]], cwd=HERE / "trainer_double", env=os.environ | own | variables, check=False
        )
        return done.returncode

    (folder / "workspace").mkdir(exist_ok=True)
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}
    walked = Walk(template, name, start, folder, given)
    walked.run()
    return walked


def mlflow_end(platform: Platform, walked: Walk) -> tuple[str, str | None]:
    run = platform.client.get_run(walked.outputs["open"]["run_id"])
    return run.info.status, run.data.tags.get("outcome")


def test_workflow_ends_as_the_dag_does_with_the_same_commit_tags_and_aliases(
    released: Platform, template: dict[str, Any], steps: Steps, tmp_path: Path
) -> None:
    platform = released
    given = platform.params(hyperparameters={"map50": 0.95, "live": 0.9}, dataset="flaky")
    walked = walk(platform, template, steps, tmp_path, "digits-7xk2p", **given)
    ended = {task: phase for task, phase in walked.phases.items() if phase != "Succeeded"}
    assert ended == {"restore": "Skipped"}, steps.said
    assert [walked.tries[step] for step in ("open", "prepare", "train", "evaluate")] == [1, 2, 2, 2]
    assert (platform.versions(), platform.alias(), platform.alias("champion")) == ([1, 2], "2", None)

    run_id, pin = walked.outputs["open"]["run_id"], platform.repository.pin()
    version = platform.client.get_model_version(platform.model, "2")
    assert (pin["version"], pin["sha256"], pin["runId"]) == (2, walked.outputs["train"]["sha256"], run_id)
    assert (version.tags["commit"], version.tags["dag_run_id"]) == (platform.repository.tip, "digits-7xk2p")
    for trailer in (
        f"Model-Version: {platform.model}/2",
        f"MLflow-Run: {run_id}",
        f"Code-Commit: {platform.repository.code}",
        f"Dataset-Digest: {walked.outputs['prepare']['dataset_digest']}",
        "Dag-Run: digits/digits-7xk2p",
    ):
        assert trailer in platform.repository.message().splitlines()
    assert json.loads(walked.outputs["evaluate"]["figures"])["test/mAP50"] == 0.95
    assert walked.outputs["verify"]["url"] == platform.served.url
    assert mlflow_end(platform, walked) == ("FINISHED", "live")

    # The DAG's own: the run and the version that it left for this worker's tests.
    _, name, number = platform.servers.released.replace("models:/", "models/").split("/")
    by_dag = platform.client.get_model_version(name, number)
    assert set(version.tags) == set(by_dag.tags)
    ours, theirs = (platform.client.get_run(run).data.tags for run in (run_id, by_dag.run_id))
    # It was the first of its model: nothing was live to compare with.
    assert set(ours) - set(theirs) <= {"live_version"} and not set(theirs) - set(ours)


def test_rollout_that_fails_is_taken_back_and_told(
    released: Platform, template: dict[str, Any], steps: Steps, tmp_path: Path
) -> None:
    platform = released
    before = platform.repository.text()
    platform.hand.broken[2] = "no progress"
    walked = walk(platform, template, steps, tmp_path, "digits-broken", **platform.params())
    assert (walked.phases["wait"], walked.phases["verify"]) == ("Failed", "Omitted")
    assert walked.tries["wait"] == walked.tries["restore"] == 1
    said = " ".join(steps.said["restore"].split())
    assert f"Version 2 of {platform.model} (commit " in said and "did not go live: Argo CD reports a failure" in said
    assert f"The former {platform.model} version 1 is back and answers" in said
    assert (platform.repository.text(), platform.served.version, platform.alias()) == (before, 1, "1")
    assert mlflow_end(platform, walked) == ("FAILED", "failed in restore, wait_for_rollout")


def test_what_is_not_good_enough_ends_well_and_changes_nothing(
    released: Platform, template: dict[str, Any], steps: Steps, tmp_path: Path
) -> None:
    platform = released
    before = platform.repository.tip
    weak = platform.params(hyperparameters={"map50": 0.7})
    walked = walk(platform, template, steps, tmp_path, "digits-weak", **weak)
    assert [walked.phases[step] for step in ("gate", *LATE)] == ["Succeeded", "Skipped", *["Omitted"] * 4]
    assert (platform.repository.tip, platform.versions()) == (before, [1])
    assert mlflow_end(platform, walked) == ("FINISHED", "rejected")


def test_what_a_retry_cannot_help_is_tried_once(
    platform: Platform, template: dict[str, Any], steps: Steps, tmp_path: Path
) -> None:
    before = platform.repository.tip
    walked = walk(platform, template, steps, tmp_path, "digits-bad", **platform.params(dataset="bad"))
    assert (walked.phases["prepare"], walked.tries["prepare"], walked.phases["changes"]) == ("Failed", 1, "Omitted")
    assert mlflow_end(platform, walked) == ("FAILED", "failed in prepare")

    folder = tmp_path / "second"
    folder.mkdir()
    walked = walk(platform, template, steps, folder, "digits-wrong", **platform.params(epochs=0))
    assert (walked.phases["open"], walked.tries["open"]) == ("Failed", 1)
    assert "train.epochs: input should be greater than or equal to 1" in steps.said["open"]
    assert platform.repository.tip == before
