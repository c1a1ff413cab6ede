"""Runs and versions on a real MLflow: found again instead of made twice, and refused in words."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Servers

NAMES = itertools.count(1)


@pytest.fixture
def client(servers: Servers) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(servers.mlflow_url)


@pytest.fixture
def name() -> Iterator[str]:
    yield f"registry-{next(NAMES)}"


def trained(client: Any, name: str, dag_run_id: str, sha256: str = "a" * 64) -> Any:
    """A run as `prepare` and `train` leave it."""
    from lifecycle.mlflow import runs

    experiment = runs.open_experiment(client, name)
    run_id = runs.open_run(client, experiment, dag_id="d", dag_run_id=dag_run_id, tags={"dataset": "digits"})
    model = client.create_logged_model(experiment.experiment_id, name="m", source_run_id=run_id)
    tags = {
        "model_uri": f"models:/{model.model_id}",
        "sha256": sha256,
        "dataset_digest": "d" * 64,
        "image_size": "160",
        "class_names": "[]",
    }
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    return client.get_run(run_id)


def test_run_is_found_again_by_its_dag_run(client: Any, name: str) -> None:
    first, again, other = (
        trained(client, name, dag_run) for dag_run in ("manual__1+00:00", "manual__1+00:00", "manual__2")
    )
    assert first.info.run_id == again.info.run_id != other.info.run_id
    assert again.info.status == "RUNNING"


def test_run_that_ended_is_running_again_when_its_dag_run_is_repeated(client: Any, name: str) -> None:
    from lifecycle.mlflow import runs
    from lifecycle.policy.outcome import Outcome

    run_id = trained(client, name, "r1").info.run_id
    runs.close(client, run_id, Outcome("FAILED", "failed in train"))
    ended = client.get_run(run_id)
    assert (ended.info.status, ended.data.tags["outcome"]) == ("FAILED", "failed in train")
    assert ended.info.end_time
    assert ended.data.tags["mlflow.note.content"] == "Run of the DAG: `d/r1`.\n\n**Outcome:** failed in train."
    assert trained(client, name, "r1").info.status == "RUNNING"
    for key, value in (("test/mAP50", 0.91234), ("test/mAP50-95", 0.75)):
        client.log_metric(run_id, key, value)
    client.set_tag(run_id, "mlflow.note.content", "Ask Ann.")
    runs.close(client, run_id, Outcome("FINISHED", "live"))
    runs.close(client, run_id, Outcome("FINISHED", "live"))
    said = "**Outcome:** live. On the test split of `digits`: mAP50 0.9123, mAP50-95 0.7500."
    assert client.get_run(run_id).data.tags["mlflow.note.content"] == f"Ask Ann.\n\n{said}"


def test_runs_that_were_left_running_are_ended_as_their_dag_runs_were(client: Any, name: str) -> None:
    from lifecycle.mlflow import runs
    from lifecycle.policy.outcome import Outcome

    ends = {"r1": Outcome("FINISHED", "success"), "r2": None, "r3": Outcome("KILLED", "DAG run deleted")}
    ids = {dag_run: trained(client, name, dag_run).info.run_id for dag_run in ends}
    closed = runs.close_left(client, runs.open_experiment(client, name), "d", ends.__getitem__)
    assert closed == ["r1", "r3"]
    assert [client.get_run(run_id).info.status for run_id in ids.values()] == ["FINISHED", "RUNNING", "KILLED"]
    assert runs.find(client, "d", "r2") == ids["r2"]
    assert runs.find(client, "d", "never") is None


def test_pages_of_model_and_version_say_what_a_person_asks(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    run_id = trained(client, name, "r1").info.run_id
    for key, value in (("test/mAP50", 0.91234), ("test/mAP50-95", 0.75)):
        client.log_metric(run_id, key, value)
    versions.register(client, name, client.get_run(run_id), "http://airflow/dags/d/runs/r1")
    versions.set_live(client, name, 1, commit="c" * 40, environment="staging", champion=False)
    versions.set_live(client, name, 1, commit="d" * 40, environment="production", champion=True)
    versions.set_live(client, name, 1, commit="e" * 40, environment="staging", champion=False)
    said = client.get_model_version(name, "1").description
    assert said.startswith("Trained by [d/r1](http://airflow/dags/d/runs/r1) on `digits` (digest `dddddddddddd`)")
    assert "On the test split: mAP50 0.9123, mAP50-95 0.7500." in said
    lines = [line for line in said.splitlines() if line.startswith("Went live")]
    assert [re.sub(r" at .*, by", ", by", line) for line in lines] == [
        "Went live in `production`, by commit `dddddddddddd`.",
        "Went live in `staging`, by commit `eeeeeeeeeeee`.",
    ]
    assert client.get_registered_model(name).description == f"YOLO detector of the DAG `d`.\n\n**Version 1.** {said}"


def test_a_persons_own_description_of_a_model_stays(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    client.create_registered_model(name, description="Ask Ann.")
    versions.register(client, name, trained(client, name, "r1"))
    versions.set_live(client, name, 1, commit="c", environment="staging", champion=True)
    assert client.get_registered_model(name).description == "Ask Ann."


def test_deleted_experiment_is_told_with_the_way_out(client: Any, name: str) -> None:
    from lifecycle.errors import RegistryError
    from lifecycle.mlflow import runs

    client.delete_experiment(client.create_experiment(name))
    with pytest.raises(RegistryError, match=r"deleted\. Restore it"):
        runs.open_experiment(client, name)


def test_one_dag_run_makes_one_version_however_often_it_is_tried(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    run = trained(client, name, "r1")
    made = [versions.register(client, name, run).version for _ in range(3)]
    assert {str(version) for version in made} == {"1"}
    tags = client.get_model_version(name, "1").tags
    assert (tags["sha256"], tags["dag_run_id"], tags["run_id"]) == ("a" * 64, "r1", run.info.run_id)
    assert str(versions.register(client, name, trained(client, name, "r2")).version) == "2"


def test_a_version_tells_what_lower_precisions_cost_where_the_run_does(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    run = trained(client, name, "r1")
    client.set_tag(run.info.run_id, "precision_drop", '{"bf16": 0.001}')
    for other in (client.get_run(run.info.run_id), trained(client, name, "r2")):
        versions.register(client, name, other)
    told = [client.get_model_version(name, number).tags.get("precision_drop") for number in ("1", "2")]
    assert told == ['{"bf16": 0.001}', None]


def test_a_version_tells_which_one_its_training_began_from_and_lineage_shows_it(client: Any, name: str) -> None:
    from lifecycle.mlflow import lineage, versions
    from yolo_client import ServedModel

    run = trained(client, name, "r1")
    client.set_tag(run.info.run_id, "parent_version", f"{name}/7")
    version = versions.register(client, name, client.get_run(run.info.run_id))
    fields = {field.name: "" for field in dataclasses.fields(ServedModel)}
    said = {"name": name, "version": int(version.version), "sha256": "a" * 64, "run_id": run.info.run_id}
    served = ServedModel(**(fields | said))
    assert f"parent_version {name}/7" in lineage.text(lineage.trace(client, served, "http://server", "model"))


def test_dag_run_that_was_trained_again_makes_another_version(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    versions.register(client, name, trained(client, name, "r1"))
    assert str(versions.register(client, name, trained(client, name, "r1", "b" * 64)).version) == "2"


@pytest.mark.parametrize("missing", ["sha256", "model_uri", "dataset_digest"])
def test_run_that_lacks_a_tag_makes_no_version(client: Any, name: str, missing: str) -> None:
    from lifecycle.errors import RegistryError
    from lifecycle.mlflow import versions

    run = trained(client, name, "r1")
    client.delete_tag(run.info.run_id, missing)
    with pytest.raises(RegistryError, match=f"no tag '{missing}'"):
        versions.register(client, name, client.get_run(run.info.run_id))
    assert versions.versions(client, name) == []


def test_version_that_is_not_there_is_refused_with_the_list(client: Any, name: str) -> None:
    from lifecycle.errors import BadParameter
    from lifecycle.mlflow import versions

    with pytest.raises(BadParameter, match="it has: none"):
        versions.existing(client, name, 1)
    for dag_run in ("r1", "r2"):
        versions.register(client, name, trained(client, name, dag_run))
    assert str(versions.existing(client, name, 2).version) == "2"
    with pytest.raises(BadParameter, match="no version 3; it has: 2, 1"):
        versions.existing(client, name, 3)


def test_champion_keeps_since_when_it_is_live_for_the_same_commit(client: Any, name: str) -> None:
    from lifecycle.mlflow import versions

    versions.register(client, name, trained(client, name, "r1"))
    client.set_model_version_tag(name, "1", "commit", "c1")
    client.set_model_version_tag(name, "1", "live_since", "before")
    versions.set_live(client, name, 1, commit="c1", environment="production", champion=True)
    assert client.get_model_version_by_alias(name, "champion").tags["live_since"] == "before"
    versions.set_live(client, name, 1, commit="c2", environment="production", champion=True)
    assert client.get_model_version(name, "1").tags["live_since"] != "before"


def test_missing_artifacts_are_told(client: Any, name: str, tmp_path: Any) -> None:
    from lifecycle.errors import RegistryError
    from lifecycle.mlflow import runs

    run = trained(client, name, "r1")
    with pytest.raises(RegistryError, match="no artifacts under 'verification'"):
        runs.download(client, run.info.run_id, "verification", tmp_path)
