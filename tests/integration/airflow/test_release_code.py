"""`yolo_release_code` with Airflow's own task runner: new code for the live version, and back, by itself or by hand."""

from __future__ import annotations

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support.release_repository import CODE, FILE, git

PARAMS = {"pipeline": "digits", "reason": "faster decoding"}


def pin(platform: Platform) -> tuple[int | None, str]:
    entry = platform.repository.pin()
    return entry["version"], entry["codeCommit"]


@pytest.mark.extended
def test_code_alone_is_released_proved_and_taken_back_like_a_version(platform: Platform, run: Run) -> None:
    from lifecycle.ui import overview

    repository, first = platform.repository, platform.repository.code
    refused = run("yolo_release_code", **PARAMS)
    assert (refused.state, refused.tries["choose_code"]) == ("failed", 1)
    assert "staging/detector/digits holds no version" in one_line(refused.text)
    assert run(**platform.params()).state == "success"

    second = repository.write("# the second code\n", CODE)
    assert (pin(platform), platform.served.code_commit) == ((1, first), first), "a push alone changes nothing"
    ended = run("yolo_release_code", **PARAMS)
    assert ended.state == "success", ended.text[-5000:]
    assert (pin(platform), platform.served.code_commit, platform.alias()) == ((1, second), second, "1")
    changed = git("-C", str(repository.bare), "show", "--format=", "--unified=0", "main", "--", FILE).splitlines()
    assert [line[1:].split(":")[0].strip() for line in changed if line[:2] in ("+ ", "- ")] == ["codeCommit"] * 2
    message = repository.message()
    assert f"It keeps version 1 and replaces the code of {first[:12]}." in message
    assert {f"Code-Commit: {second}", "Reason: faster decoding"} <= set(message.splitlines())

    (row,) = [row for row in overview.models()["models"] if row["environment"] == "staging"]
    assert (row["code_commit"], row["served"]["version"], row["served"]["code_commit"]) == (second, 1, second)
    held = overview.history("staging", "detector", "digits")
    assert [(each["version"], each["code_commit"]) for each in held[:2]] == [(1, second), (1, first)]

    # Code with which no server starts: the former comes back.
    third = repository.write("# the third code\n", CODE)
    platform.hand.broken_code[third] = "no module named numpyy"
    ended = run("yolo_release_code", **PARAMS)
    assert (ended.state, ended.tasks["wait_for_rollout"], ended.tasks["restore"]) == ("failed", "failed", "failed")
    assert "no module named numpyy" in one_line(ended.text)
    assert (pin(platform), platform.served.code_commit) == ((1, second), second)

    # By hand: what was live before the present pin is the same version with the first code.
    back = run("yolo_rollback")
    assert back.state == "success", back.text[-5000:]
    assert (pin(platform), platform.served.code_commit) == ((1, first), first)
