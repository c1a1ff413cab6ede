"""Many writers at once, each a process, on one real bare repository."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.gitops.support import Remote, bump, changed_lines, git, in_child, values, wait_for


def deliver_all(remote: Remote, folder: Path, bumps: list[tuple[int, str]]) -> list[str]:
    """Deliver version and model pairs at the same time; the outcomes in the same order."""

    def task(number: int, version: int, model: str) -> None:
        gitops = remote.gitops(time_limit=110.0, backoff_base=0.2, backoff_cap=5.0)
        delivery = gitops.deliver(bump(version, model, run=f"run-{number}"))
        (folder / f"{number}.json").write_text(json.dumps(delivery.outcome))

    children = [
        in_child(lambda n=number, v=version, m=model: task(n, v, m))  # type: ignore[misc]
        for number, (version, model) in enumerate(bumps)
    ]
    assert wait_for(children) == [0] * len(bumps)
    return [json.loads((folder / f"{number}.json").read_text()) for number in range(len(bumps))]


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.soak)])
def test_each_writers_own_model_in_one_file(make_remote: Callable[..., Remote], tmp_path: Path, count: int) -> None:
    before = values(count)
    remote = make_remote(before)
    git(remote.path, "config", "receive.denyNonFastForwards", "true")

    outcomes = deliver_all(remote, tmp_path, [(number + 1, f"m{number}") for number in range(count)])

    assert outcomes == ["pushed"] * count
    after = remote.text()
    assert {entry["name"]: entry["version"] for entry in yaml.safe_load(after)["models"]} == {
        f"m{number}": number + 1 for number in range(count)
    }
    scalars = [
        n for n, line in enumerate(before.splitlines()) if line.split(":")[0].strip() in ("version", "sha256", "runId")
    ]
    assert changed_lines(before, after) == scalars
    runs = Counter(git(remote.path, "log", "--format=%(trailers:key=Dag-Run,valueonly,separator=)", "main").split())
    assert runs == {f"digits/run-{number}": 1 for number in range(count)}
    assert git(remote.path, "rev-list", "--count", "--min-parents=2", "main").strip() == "0"
    assert git(remote.path, "fsck", "--strict", "--no-dangling") == ""


def test_runs_for_one_model_end_at_the_newest_version(remote: Remote, tmp_path: Path) -> None:
    outcomes = deliver_all(remote, tmp_path, [(version, "m0") for version in (3, 1, 5, 2, 4)])
    assert "version: 5 " in remote.text()
    assert outcomes[2] == "pushed" and set(outcomes) <= {"pushed", "superseded"}
    versions = git(
        remote.path, "log", "--reverse", "--format=%(trailers:key=Model-Version,valueonly,separator=)", "main"
    )
    numbers = [int(word.rpartition("/")[2]) for word in versions.split()]
    assert numbers == sorted(numbers) and len(numbers) == outcomes.count("pushed")


def test_one_run_twice_at_once_makes_one_commit(remote: Remote, tmp_path: Path) -> None:
    """Airflow can start a task again while its first process still lives (a lost heartbeat)."""

    def task() -> None:
        assert remote.gitops().deliver(bump(1, run="r1")).commit

    assert wait_for([in_child(task) for _ in range(4)]) == [0] * 4
    assert len(remote.subjects()) == 2
