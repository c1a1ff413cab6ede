"""`yolo_rollback`: back to the former version or a named one, with a hold, and refused where there is none."""

from __future__ import annotations

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line


@pytest.fixture
def two_versions(released: Platform) -> Platform:
    released.release()
    assert (released.served.version, released.alias()) == (2, "2")
    return released


def test_unknown_version_is_refused_and_none_means_the_former_one(two_versions: Platform, run: Run) -> None:
    platform, before = two_versions, two_versions.repository.tip
    ended = run("yolo_rollback", version=9)
    assert (ended.state, ended.tasks["choose_version"], ended.tries["choose_version"]) == ("failed", "failed", 1)
    assert f"'{platform.model}' has no version 9; it has: 2, 1." in one_line(ended.text)
    assert platform.repository.tip == before

    ended = run("yolo_rollback", reason="misses\nthe sevens")
    assert ended.state == "success", ended.text[-5000:]
    assert (platform.repository.pin()["version"], platform.served.version, platform.alias()) == (1, 1, "1")
    assert "Reason: misses the sevens" in platform.repository.message().splitlines()
    assert f"Dag-Run: yolo_rollback/{ended.run_id}" in platform.repository.message().splitlines()
    assert platform.repository.pin()["hold"] is False
    assert platform.client.get_model_version(platform.model, "1").tags["commit"] == platform.repository.tip


def test_hold_keeps_later_runs_from_promoting_over_it(two_versions: Platform, run: Run) -> None:
    platform = two_versions
    assert run("yolo_rollback", version=1, hold=True).state == "success"
    assert platform.repository.pin()["hold"] is True
    before = platform.repository.tip
    ended = run(**platform.params())
    assert (ended.state, ended.tasks["promote"]) == ("success", "skipped")
    assert (platform.repository.tip, platform.served.version) == (before, 1)


@pytest.mark.usefixtures("released")
def test_nothing_to_go_back_to_is_refused(run: Run) -> None:
    ended = run("yolo_rollback")
    assert (ended.state, ended.tries["choose_version"]) == ("failed", 1)
    assert "names no version of digits before the present one" in one_line(ended.text)
