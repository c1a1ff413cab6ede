"""How stages after the first, yolo_promote and yolo_release_code are wired."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from lifecycle.errors import BadPipeline
from lifecycle.settings import settings
from lifecycle.wiring import pipeline_dag

from tests.support.paths import ROOT
from tests.support.pipelines import letters, write
from tests.unit.dags.conftest import Load

STAGING = {"environment": "staging", "app": "detector", "model": "letters"}
PRODUCTION = {**STAGING, "environment": "production"}
RELEASE = ["choose_promotion", "promote", "wait_for_rollout", "verify_serving", "set_alias"]


@pytest.fixture
def made(load: Load, tmp_path: Path) -> Any:
    """The DAG of a file with these stages."""

    def make(*stages: dict[str, Any], **settings: str) -> Any:
        write(tmp_path / "pipelines", "letters", letters(stages=list(stages)))
        return load(tmp_path / "pipelines", **settings)["letters"]

    return make


def in_order(dag: Any, names: list[str]) -> None:
    for before, after in pairwise(names):
        assert before in dag.get_task(after).upstream_task_ids, after


def test_a_manual_stage_is_no_task_of_the_pipelines_dag(made: Any) -> None:
    dag = made(STAGING, PRODUCTION)
    assert not [name for name in dag.task_dict if "." in name]
    assert dag.description.endswith("staging/detector/letters → production/detector/letters")


def test_a_stage_by_approval_is_a_group_after_the_one_before(made: Any) -> None:
    dag = made(STAGING, {**PRODUCTION, "by": "approval", "soak": "30m", "proof": "candidate"})
    tried = ["commit_candidate", "wait_for_candidate", "prove_candidate"]
    order = ["soak", "choose_promotion", "approve", *tried, *RELEASE[1:]]
    in_order(dag, ["set_alias", *(f"production.{name}" for name in order)])
    assert dag.get_task("production.soak").seconds == 1800
    assert dag.get_task("production.approve").defaults == ["Reject"]
    restore = dag.get_task("production.restore")
    assert restore.upstream_task_ids == {"production.wait_for_rollout", "production.verify_serving"}
    for task in dag.tasks:
        assert task.doc_md and task.retries >= 1, task.task_id
    restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(restored.task_dict) == set(dag.task_dict)


def test_a_stage_without_a_proof_takes_the_settings_and_not_the_first_stages(made: Any) -> None:
    production = {**PRODUCTION, "by": "approval"}
    first = made({**STAGING, "proof": "candidate"}, production).task_dict
    assert "commit_candidate" in first and "production.commit_candidate" not in first
    later = made({**STAGING, "proof": "after"}, production, PROOF="candidate").task_dict
    assert "commit_candidate" not in later and "production.commit_candidate" in later


def test_three_stages_follow_each_other_and_each_has_its_delivery(made: Any) -> None:
    qa = {**STAGING, "environment": "qa", "by": "auto"}
    dag = made({**STAGING, "delivery": "github"}, qa, {**PRODUCTION, "by": "request", "delivery": "gitea"})
    in_order(dag, ["set_alias", "qa.choose_promotion"])
    in_order(dag, ["qa.set_alias", *(f"production.{name}" for name in RELEASE)])
    deliveries = {name: dag.get_task(name).delivery for name in dag.task_dict if name.endswith("rollout")}
    assert deliveries == {
        "wait_for_rollout": "github",
        "qa.wait_for_rollout": "",
        "production.wait_for_rollout": "gitea",
    }
    assert dag.get_task("production.restore").delivery == "gitea"


def test_a_request_without_a_host_is_an_import_error(made: Any, tmp_path: Path) -> None:
    requested = {**PRODUCTION, "by": "request"}
    dag = made(STAGING, requested, GITOPS_DELIVERY="gitlab")
    assert "production.promote" in dag.task_dict
    settings.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFECYCLE_GITOPS_DELIVERY", "push")
        with pytest.raises(BadPipeline, match=r"letters\.yaml: stages\[1\]\.by: request needs a git host"):
            pipeline_dag(str(tmp_path / "pipelines" / "letters.py"))


def test_yolo_promote_begins_with_two_stages_of_a_file_and_takes_no_others(load: Load) -> None:
    dag = load()["yolo_promote"]
    asked = {"pipeline": "digits", "from": "staging", "to": "production"}
    assert dag.params.dump() == {**asked, "skip_soak": False, "reason": ""}
    for name in ("pipeline", "from", "to"):
        with pytest.raises(Exception, match="is not one of"):
            dag.params.get_param(name).resolve("elsewhere")
    tried = ["commit_candidate", "wait_for_candidate", "prove_candidate"]
    in_order(dag, ["choose_promotion", "soak", *tried, *RELEASE[1:]])
    assert dag.get_task("restore").upstream_task_ids == {"wait_for_rollout", "verify_serving"}, "not when refused"


def test_yolo_release_code_is_a_release_of_a_pipelines_first_stage(load: Load) -> None:
    dag = load()["yolo_release_code"]
    assert dag.params.dump() == {"pipeline": "digits", "reason": ""}
    with pytest.raises(Exception, match="is not one of"):
        dag.params.get_param("pipeline").resolve("elsewhere")
    # A stage with `proof: after` skips what is a candidate's.
    in_order(dag, ["choose_code", "commit_candidate", "wait_for_candidate", "prove_candidate", *RELEASE[1:]])


def test_without_digits_the_forms_begin_with_the_detector_that_is_there(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "dags" / "pipelines", "letters", letters(stages=[{**STAGING, "app": "reader"}, PRODUCTION]))
    for file in ("yolo_promote.py", "yolo_rollback.py"):
        shutil.copy(ROOT / "dags" / file, tmp_path / "dags")
    dags = load(tmp_path / "dags")
    form = dags["yolo_rollback"].params.dump()
    assert {key: form[key] for key in ("environment", "app", "served_model")} == {
        "environment": "staging",
        "app": "reader",
        "served_model": "letters",
    }
    assert dags["yolo_promote"].params.dump()["pipeline"] == "letters"
