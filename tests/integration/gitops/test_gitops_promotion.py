"""A version goes from one stage to the next on a real repository: its pin, by one commit, while the stage holds it."""

from __future__ import annotations

import pytest
from lifecycle.gitops import Bump
from lifecycle.model.target import Target

from tests.integration.gitops.support import Remote, bump, git, pin, values

STAGING = Target("staging", "detector", "m0")
FROM, TO = (f"argocd-apps/{stage}/detector/values.yaml" for stage in ("staging", "production"))


@pytest.fixture
def stages(remote: Remote) -> Remote:
    """Staging holds version 7; production holds nothing."""
    for file in (FROM, TO):
        remote.write(values(), file=file)
    remote.gitops().deliver(into("staging", 7, source=None))
    return remote


def into(environment: str, version: int, run: str = "r1", source: Target | None = STAGING) -> Bump:
    made = bump(version, run=run, source=source)
    return Bump(**{**made.__dict__, "environment": environment})


def lines(remote: Remote, file: str) -> list[str]:
    """What version, sha256 and runId say, without the file's own quotes and comments."""
    keys = ("version:", "sha256:", "runId:")
    found = (line.split("#")[0].strip() for line in remote.text(file=file).splitlines())
    return [line.replace("'", '"') for line in found if line.startswith(keys)]


def test_a_promotion_is_one_commit_with_the_stages_own_pin(stages: Remote) -> None:
    before, tip = stages.text(file=TO), stages.head()
    made = stages.gitops().deliver(into("production", 7))
    assert (made.outcome, made.commit, made.former) == ("pushed", stages.head(), pin(None))
    assert git(stages.path, "rev-list", "--count", f"{tip}..main").strip() == "1"
    assert git(stages.path, "show", "--format=", "--name-only", "main").split() == [TO]
    assert lines(stages, TO) == lines(stages, FROM) != [line.strip() for line in before.splitlines()]
    message = stages.message().splitlines()
    assert message[0] == "promote production/detector/m0 7 from staging"
    assert {"Promoted-From: staging/detector/m0", "Dag-Run: digits/r1"} <= set(message)
    assert stages.gitops().deliver(into("production", 7)).commit == stages.head(), "made once for a run"


@pytest.mark.parametrize(
    ("change", "outcome", "said"),
    [
        ("newer", "superseded", "staging/detector/m0 has version 8 by now, not the version 7 that was to be promoted."),
        ("hold", "held", "staging/detector/m0 is on hold at version 7, so it is not promoted."),
        ("target_hold", "held", "m0 in production/detector is on hold at no version"),
    ],
)
def test_what_a_stage_does_not_hold_any_more_is_not_committed(
    stages: Remote, change: str, outcome: str, said: str
) -> None:
    if change == "newer":
        stages.gitops().deliver(into("staging", 8, run="r2", source=None))
    else:
        file = FROM if change == "hold" else TO
        stages.write(stages.text(file=file).replace("hold: false", "hold: true"), file=file)
    tip = stages.head()
    made = stages.gitops().deliver(into("production", 7))
    assert (made.outcome, stages.head()) == (outcome, tip)
    assert said in made.detail


def test_the_stage_is_asked_again_when_another_writer_was_faster(stages: Remote) -> None:
    """A rollback in staging lands between our look at it and our push: git refuses the push, and we look again."""
    raced = stages.path / "raced"
    other = f"git -C {stages.path}"
    stages.gitops().deliver(into("staging", 8, run="r2", source=None))
    newer = stages.head()
    git(stages.path, "update-ref", "refs/heads/main", f"{newer}~1")
    stages.hook(
        "pre-receive",
        f"test -e {raced} && exit 0; touch {raced}; unset GIT_QUARANTINE_PATH; "
        f"{other} update-ref refs/heads/main {newer}; exit 0",
    )
    made = stages.gitops().deliver(into("production", 7))
    assert raced.exists()
    assert (made.outcome, stages.head()) == ("superseded", newer)
    assert lines(stages, TO)[0] == "version: null"


def test_a_teams_own_words_are_kept_and_may_name_the_stage(stages: Remote) -> None:
    stages.gitops(message_template="ship {version} {source} to {environment}").deliver(into("production", 7))
    assert stages.message().splitlines()[0] == "ship 7 staging to production"
    assert "Promoted-From: staging/detector/m0" in stages.message().splitlines()
