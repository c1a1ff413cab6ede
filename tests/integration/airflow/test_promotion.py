"""`yolo_promote` with Airflow's own task runner: on to production and back, what it refuses, and what it restores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.airflow.dag_runs import Finished, Platform, Run
from tests.integration.airflow.servers import WRONG, one_line
from tests.support.paths import ROOT
from tests.support.pipelines import write
from tests.support.release_repository import FILE, PRODUCTION, git

PARAMS = {"pipeline": "digits", "from": "staging", "to": "production"}
ORDER = ("choose_promotion", "promote", "wait_for_rollout", "verify_serving", "set_alias")
CANDIDATE = ("commit_candidate", "wait_for_candidate", "prove_candidate", "discard_candidate")


def pins(platform: Platform) -> tuple[int | None, int | None]:
    return platform.repository.pin(FILE)["version"], platform.repository.pin(PRODUCTION)["version"]


def aliases(platform: Platform) -> tuple[str | None, str | None, str | None]:
    return platform.alias("staging"), platform.alias("production"), platform.alias("champion")


@pytest.mark.extended
def test_a_version_goes_on_and_each_stage_is_left_alone_by_the_other(released: Platform, run: Run) -> None:
    platform = released
    assert (pins(platform), aliases(platform)) == ((1, None), ("1", None, None))
    before = platform.repository.tip

    promoted = run("yolo_promote", **PARAMS, reason="release\nnotes 1.0")
    assert promoted.state == "success", promoted.text[-5000:]
    assert {task for task, state in promoted.tasks.items() if state != "success"} == {"restore", *CANDIDATE}
    assert (pins(platform), aliases(platform)) == ((1, 1), ("1", "1", "1"))
    staging, production = platform.repository.pin(FILE), platform.repository.pin(PRODUCTION)
    assert production == staging
    bare = str(platform.repository.bare)
    assert git("-C", bare, "rev-list", "--count", f"{before}..main") == "1"
    assert git("-C", bare, "show", "--format=", "--name-only", "main") == PRODUCTION
    message = platform.repository.message().splitlines()
    assert message[0] == "promote production/detector/digits 1 from staging"
    for trailer in (
        f"Model-Version: {platform.model}/1",
        "Promoted-From: staging/detector/digits",
        f"Dag-Run: yolo_promote/{promoted.run_id}",
        "Reason: release notes 1.0",
    ):
        assert trailer in message
    assert promoted.pull("verify_serving")["url"] == platform.production.url

    # A run in staging changes nothing of production's.
    file, tags = platform.repository.text(path=PRODUCTION), platform.client.get_model_version(platform.model, "1").tags
    assert run(**platform.params()).state == "success"
    assert (pins(platform), aliases(platform)) == ((2, 1), ("2", "1", "1"))
    assert (platform.served.version, platform.production.version) == (2, 1)
    assert platform.repository.text(path=PRODUCTION) == file
    # Nor does going back there: version 1's tags tell of production still.
    assert run("yolo_rollback", environment="staging", version=1).state == "success"
    assert (pins(platform), aliases(platform)) == ((1, 1), ("1", "1", "1"))
    assert platform.client.get_model_version(platform.model, "1").tags == tags

    # A rollback in production leaves staging alone.
    assert run("yolo_rollback", environment="staging", version=2).state == "success"
    assert run("yolo_promote", **PARAMS).state == "success"
    assert (pins(platform), aliases(platform)) == ((2, 2), ("2", "2", "2"))
    file = platform.repository.text(path=FILE)
    assert run("yolo_rollback", environment="production").state == "success"
    assert (pins(platform), aliases(platform)) == ((2, 1), ("2", "1", "1"))
    assert (platform.served.version, platform.production.version) == (2, 1)
    assert platform.repository.text(path=FILE) == file


def refused(platform: Platform, ended: Finished, task: str, said: str) -> None:
    assert (ended.state, ended.tasks[task], ended.tries[task]) == ("failed", "failed", 1), ended.text[-3000:]
    later = ORDER[ORDER.index(task) + 1 :]
    assert {ended.tasks[name] for name in later} == {"upstream_failed"}
    assert ended.tasks["restore"] == "skipped"
    assert said in one_line(ended.text)
    assert "Nothing was committed." in one_line(ended.text)


@pytest.mark.extended
def test_what_may_not_go_on_is_refused_in_a_sentence_and_nothing_is_committed(platform: Platform, run: Run) -> None:
    repository, choose = platform.repository, "choose_promotion"
    tip = repository.tip
    refused(platform, run("yolo_promote", **PARAMS), choose, "staging/detector/digits holds no version")
    wrong = run("yolo_promote", **{**PARAMS, "from": "production", "to": "staging"})
    refused(platform, wrong, choose, "staging does not follow production in digits: staging → production.")
    assert repository.tip == tip

    assert run(**platform.params()).state == "success"
    platform.hand.paused.set()
    for file, entry in ((FILE, "staging/detector/digits"), (PRODUCTION, "production/detector/digits")):
        free = repository.text(path=file)
        tip = repository.write(free.replace("hold: false", "hold: true"), file)
        refused(platform, run("yolo_promote", **PARAMS), choose, f"{entry} is on hold at")
        assert repository.tip == tip
        repository.write(free, file)

    whole = repository.text(path=PRODUCTION)
    tip = repository.write(whole.replace("name: digits", "name: letters"), PRODUCTION)
    absent = run("yolo_promote", **PARAMS)
    assert (absent.tasks[choose], absent.tasks["promote"], repository.tip) == ("failed", "upstream_failed", tip)
    assert "the file has no model digits (it has: letters). Add an entry for it by hand first." in one_line(absent.text)
    repository.write(whole, PRODUCTION)

    # Git says version 1, and something else answers.
    tip, platform.served.version = repository.tip, 7
    refused(platform, run("yolo_promote", **PARAMS), choose, "Version 1 does not answer in staging: ")
    assert repository.tip == tip
    assert platform.production.version is None


@pytest.mark.extended
def test_a_version_that_staging_lost_after_the_decision_is_not_committed(
    released: Platform, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback in staging lands after the last question to its server, before the commit."""
    from lifecycle.steps import handoff

    platform, deliver = released, handoff.deliver
    platform.release()
    text = platform.repository.text()

    def meanwhile(wanted: object, delivery: str = "") -> object:
        platform.repository.write(text.replace("version: 2", "version: 1"))
        return deliver(wanted, delivery)  # type: ignore[arg-type]

    monkeypatch.setattr(handoff, "deliver", meanwhile)
    ended = run("yolo_promote", **PARAMS)
    refused(platform, ended, "promote", "staging/detector/digits has version 1 by now, not the version 2")
    assert pins(platform) == (1, None)


@pytest.mark.extended
def test_a_version_that_fails_in_production_is_taken_back_there_alone(released: Platform, run: Run) -> None:
    platform = released
    assert run("yolo_promote", **PARAMS).state == "success"
    platform.release()
    staging = platform.repository.text(path=FILE)
    production = platform.repository.text(path=PRODUCTION)
    platform.hand.broken_in_production[2] = "no GPU is left"
    ended = run("yolo_promote", **PARAMS)
    assert (ended.state, ended.tasks["wait_for_rollout"], ended.tasks["restore"]) == ("failed", "failed", "failed")
    said = one_line(ended.text)
    assert "no GPU is left" in said and f"The former {platform.model} version 1 is back and answers" in said
    assert platform.repository.text(path=PRODUCTION) == production
    assert platform.repository.text(path=FILE) == staging
    assert aliases(platform) == ("2", "1", "1")
    assert (platform.served.version, platform.production.version) == (2, 1)


@pytest.fixture
def staged(run: Run, tmp_path: Path) -> Run:
    """Run yolo_promote with other settings of the demo's second stage."""

    def ended(stage: dict[str, Any], **params: Any) -> Finished:
        content = yaml.safe_load((ROOT / "dags" / "pipelines" / "digits.yaml").read_text())
        content["stages"][1].update(stage)
        write(tmp_path / "dags" / "pipelines", "digits", content)
        shutil.copy(ROOT / "dags" / "yolo_promote.py", tmp_path / "dags")
        return run("yolo_promote", folder=tmp_path / "dags", **PARAMS, **params)

    return ended


@pytest.mark.extended
def test_the_stages_own_proof_and_soak_hold_for_a_person_too(
    released: Platform, staged: Run, configure: Callable[..., None]
) -> None:
    platform, candidate = released, released.servers.production_candidate
    configure(SOAK_POLL=0.5, SOAK_MAX_LATENCY_MS=50)
    right, candidate.detection = candidate.detection, WRONG
    try:
        ended = staged({"proof": "candidate", "soak": "1s"})
    finally:
        candidate.detection = right
    assert ended.state == "failed"
    assert [ended.tasks[task] for task in ("soak", *CANDIDATE, "promote")] == [
        *("success", "success", "success", "failed", "failed", "upstream_failed")
    ]
    assert ended.pull("soak").startswith("0.00% of the requests failed, 5.0 ms")
    assert "What is live was not touched: no version." in one_line(ended.text)
    assert (pins(platform), "candidate" in platform.repository.pin(PRODUCTION)) == ((1, None), False)

    # A day's soak, which a person may leave out; the proof stays.
    ended = staged({"proof": "candidate", "soak": "24h"}, skip_soak=True)
    assert ended.state == "success", ended.text[-5000:]
    assert ended.pull("prove_candidate")["url"] == candidate.url
    assert (pins(platform), platform.production.version) == ((1, 1), 1)
    assert "candidate" not in platform.repository.pin(PRODUCTION)
