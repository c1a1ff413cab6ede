"""A new folder for a model that is not made here, on a real repository: what is chosen, committed and taken back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from lifecycle.errors import BadParameter, PromotionRefused, RolloutReverted
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, FolderParams, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.operators.restore import RestoreOperator
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.tasks import folder

from tests.support.airflow_connections import Connect
from tests.support.release_repository import Repository
from tests.unit.lifecycle.operators.test_restore import Xcom

TARGET = Target("staging", "zoo", "densenet_onnx")
FILE = "argocd-apps/staging/zoo/values.yaml"
FIRST, SECOND = "s3://models/zoo/densenet_onnx/1", "s3://models/zoo/densenet_onnx/2"
VALUES = f"""\
models:
  - name: densenet_onnx
    source: {{s3: {FIRST}}}  # of another team
    hold: false
"""
WHERE: dict[str, Any] = {"environment": "staging", "app": "zoo", "model": "densenet_onnx"}


@pytest.fixture
def repository(tmp_path: Path, connect: Connect) -> Repository:
    made = Repository(tmp_path, "digits-detector")
    connect("kubernetes_default", {"conn_type": "kubernetes"}, GITOPS_URL=made.bare.as_uri())
    made.write(VALUES, FILE)
    return made


def params(path: str, **more: Any) -> FolderParams:
    return {**WHERE, "served_model": "densenet_onnx", "path": path, "hold": False, "reason": "", **more}  # type: ignore[typeddict-item]


def released(path: str, run: str, **more: Any) -> DeliveredCommit:
    """As the DAG's first two tasks do it."""
    asked = params(path, **more)
    return folder.commit(TARGET, folder.choose(TARGET, asked), asked, dag_run=f"yolo_release_path/{run}")


def test_a_new_folder_is_one_commit_of_one_line_and_back_again(repository: Repository) -> None:
    made = released(SECOND, "one", reason="more classes")
    assert (made["outcome"], made["pin"]["uri"], made["former"]["uri"]) == ("pushed", SECOND, FIRST)
    assert repository.text(path=FILE) == VALUES.replace(FIRST, f'"{SECOND}"')
    message = repository.message()
    assert message.startswith(f"Promote densenet_onnx at {SECOND} in staging/zoo as densenet_onnx")
    assert f"It replaces {FIRST}." in message
    assert {f"Model-Uri: {SECOND}", "Reason: more classes", "Dag-Run: yolo_release_path/one"} <= set(
        message.splitlines()
    )
    assert released_again_is_found(made)

    back = released("", "two", hold=True)
    assert (back["pin"]["uri"], repository.message().splitlines()[0]) == (
        FIRST, f"Roll back to densenet_onnx at {FIRST} in staging/zoo as densenet_onnx")  # fmt: skip
    assert "hold: true" in repository.text(path=FILE)
    with pytest.raises(PromotionRefused, match="is on hold"):
        folder.choose(TARGET, params(SECOND))
    assert folder.choose(TARGET, params(""))["uri"] == SECOND, "a way back passes a hold"


def released_again_is_found(made: DeliveredCommit) -> bool:
    """A killed task that comes again finds its own commit."""
    chosen: Any = {"pin": made["pin"], "uri": SECOND, "live": made["former"], "back": False}
    again = folder.commit(TARGET, chosen, params(SECOND), dag_run="yolo_release_path/one")
    return (again["outcome"], again["commit"], again["ours"]) == ("already_there", made["commit"], True)


@pytest.mark.parametrize(
    ("path", "words"),
    [(f"{FIRST}/", "names s3://models/zoo/densenet_onnx/1 already"), ("", "names no folder before")],
)
def test_what_changes_nothing_is_refused(path: str, words: str, repository: Repository) -> None:
    before = repository.tip
    with pytest.raises(BadParameter, match=words):
        folder.choose(TARGET, params(path))
    assert repository.tip == before


@pytest.mark.usefixtures("repository")
def test_an_entry_of_a_version_is_not_for_this_dag() -> None:
    with pytest.raises(BadParameter, match="serves versions of digits-detector"):
        folder.choose(Target("staging", "detector", "digits"), params(SECOND))


def test_a_folder_that_does_not_load_is_taken_back(repository: Repository) -> None:
    made = released(SECOND, "one")
    ti = Xcom({("promote", "return_value"): made, ("wait_for_rollout", "failure"): "no such backend."})
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(dag_id="yolo_release_path", run_id="one")}
    restore = RestoreOperator(task_id="restore", **WHERE, registered_model="")
    with pytest.raises(TaskDeferred) as deferred:
        restore.execute(context)
    trigger: Any = deferred.value.trigger
    assert trigger.watch.version == Pin(None, "", "", uri=FIRST).label, "the former folder's pods are waited for"
    assert f"s3: {FIRST}" in repository.text(path=FILE).replace('"', "")
    happened: RolloutEvent = {
        "state": "failed",
        "message": "no progress",
        "revision": "",
        "troubles": "",
        "retryable": False,
        "accepted": [trigger.watch.accepted[0]],
        "older": [],
        "deadline": 0.0,
    }
    words = rf"{SECOND} of densenet_onnx .* did not go live: no such backend\. .* pins the former {FIRST} again"
    with pytest.raises(RolloutReverted, match=words):
        restore.resume(context, happened)


def test_a_folder_that_somebody_moved_on_from_is_left_to_them(repository: Repository) -> None:
    made = released(SECOND, "one")
    sensor = ApplicationRolloutSensor(task_id="wait_for_rollout", **WHERE, commit=made["commit"], uri=SECOND)
    happened: RolloutEvent = {
        "state": "failed",
        "message": "no progress",
        "revision": "",
        "troubles": "",
        "retryable": False,
        "accepted": [str(made["commit"])],
        "older": [],
        "deadline": 0.0,
    }
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda **_: None)}
    repository.write(VALUES.replace(FIRST, "s3://models/zoo/densenet_onnx/3"), FILE)
    with pytest.raises(AirflowSkipException, match=r"pinned s3://.*/2 as densenet_onnx.* the file pins s3://.*/3"):
        sensor.resume(context, happened)
