"""What a delivery does on a real repository: the commit, the guards, the way back, and history."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle.gitops import (
    BranchNotFound,
    BumpInvalid,
    FileRefused,
    GitOpsSettings,
    ModelMismatch,
    RevertedCommitNotFound,
)

from tests.integration.gitops.support import FILE, Remote, bump, changed_lines, git, pin, values


def test_one_commit_with_trailers_that_git_itself_reads(remote: Remote) -> None:
    before = remote.text()
    delivery = remote.gitops().deliver(bump(3, run="manual__1"))

    assert (delivery.outcome, delivery.commit, delivery.former) == ("pushed", remote.head(), pin(None))
    assert len(changed_lines(before, remote.text())) == 3
    assert [line for line in delivery.diff.splitlines() if line[0] in "+-"][2:] == [
        f"{sign}{line}"
        for sign, text in (("-", before), ("+", remote.text()))
        for line in text.splitlines()
        if any(key in line for key in ("version:", "sha256:", "runId:"))
    ]
    parsed = git(remote.path, "interpret-trailers", "--parse", stdin=remote.message().encode()).splitlines()
    assert parsed == [
        "Model-Version: m0-detector/3",
        f"MLflow-Run: {3:032x}",
        f"Dataset-Digest: {'d' * 64}",
        "Dag-Run: digits/manual__1",
        "Delivery: promote sandbox/detector/m0",
    ]
    assert git(remote.path, "show", "--stat", "--format=", "main").splitlines()[-1].startswith(" 1 file changed")


def test_read_gives_the_pin_and_the_commit(remote: Remote) -> None:
    remote.gitops().deliver(bump(3))
    pinned, commit = remote.gitops().read("sandbox", "detector", "m0")
    assert (pinned.name, pinned.registered_model, pinned.pin, pinned.hold) == ("m0", "m0-detector", pin(3), False)
    assert commit == remote.head()


def test_inventory_tells_every_model_of_every_environment(remote: Remote) -> None:
    remote.write(values(2, version="7"), file="argocd-apps/production/shelf/values.yaml")
    remote.write("replicas: 2\n", file="argocd-apps/production/environment.yaml")
    found, commit = remote.gitops().inventory()
    assert [(environment, app, model.name, model.pin.version) for environment, app, model in found] == [
        ("production", "shelf", "m0", 7),
        ("production", "shelf", "m1", 7),
        ("sandbox", "detector", "m0", None),
    ]
    assert commit == remote.head()


def test_author_committer_and_wording_come_from_the_settings(remote: Remote) -> None:
    gitops = remote.gitops(
        author_name="Ada",
        author_email="ada@example.com",
        committer_name="Robot",
        committer_email="robot@example.com",
        message_template="{app}: {model} {former} -> {version} ({dag_run})",
    )
    gitops.deliver(bump(3, run="r1"))
    written = git(remote.path, "log", "-1", "--format=%an %ae %cn %ce%n%s", "main").splitlines()
    assert written == [
        "Ada ada@example.com Robot robot@example.com",
        "detector: m0 nothing -> 3 (digits/r1)",
    ]


def test_the_same_version_there_already_stops_quietly(remote: Remote) -> None:
    remote.gitops().deliver(bump(3, run="r1"))
    head = remote.head()
    delivery = remote.gitops().deliver(bump(3, run="r2"))
    assert (delivery.outcome, delivery.commit, delivery.diff, remote.head()) == ("already_there", head, "", head)


def test_a_newer_version_supersedes_an_older_promotion(remote: Remote) -> None:
    remote.gitops().deliver(bump(10, run="r2"))
    head = remote.head()
    delivery = remote.gitops().deliver(bump(9, run="r1"))
    assert (delivery.outcome, delivery.commit, remote.head()) == ("superseded", head, head)
    assert "newer version 10" in delivery.detail and "version 9 stays unused" in delivery.detail


def test_hold_stops_runs_but_not_a_person(remote: Remote) -> None:
    remote.gitops().deliver(bump(4, run="r1"))
    back = remote.gitops().deliver(bump(2, run="rollback", kind="rollback", hold=True))
    assert back.outcome == "pushed" and back.former == pin(4) and "hold: true" in remote.text()

    held = remote.gitops().deliver(bump(5, run="r2"))
    assert (held.outcome, held.commit) == ("held", back.commit) and "on hold at version 2" in held.detail
    assert remote.gitops().deliver(bump(1, kind="rollback", run="again")).outcome == "pushed"
    assert "hold: true" in remote.text()
    released = remote.gitops().deliver(bump(1, kind="rollback", run="release", hold=False))
    assert released.outcome == "pushed" and remote.gitops().deliver(bump(5, run="r3")).outcome == "pushed"


def test_the_way_back_names_what_it_reverts(remote: Remote) -> None:
    before = remote.text()
    done = remote.gitops().deliver(bump(1, run="r1"))
    back = remote.gitops().deliver(bump(None, run="r1", kind="restore", reverts=done.commit))
    assert back.outcome == "pushed" and remote.text() == before
    assert f"Reverts: {done.commit}" in remote.message() and "Model-Version: m0-detector/none" in remote.message()


def test_a_restore_leaves_alone_what_it_did_not_write(remote: Remote) -> None:
    first = remote.gitops().deliver(bump(1, run="r1"))
    remote.gitops().deliver(bump(2, run="r2"))
    back = remote.gitops().deliver(bump(None, run="r1", kind="restore", reverts=first.commit))
    assert back.outcome == "superseded" and "version 2" in back.detail and "version: 2" in remote.text()


def test_a_restore_does_not_touch_a_held_model(remote: Remote) -> None:
    first = remote.gitops().deliver(bump(1, run="r1"))
    remote.write(remote.text().replace("hold: false", "hold: true"))
    back = remote.gitops().deliver(bump(None, run="r1", kind="restore", reverts=first.commit))
    assert back.outcome == "held" and "version: 1" in remote.text()


def test_a_restore_of_a_commit_that_nobody_has_is_refused(remote: Remote) -> None:
    remote.gitops().deliver(bump(1, run="r1"))
    with pytest.raises(RevertedCommitNotFound, match=r"f{40}"):
        remote.gitops(time_limit=3).deliver(bump(None, run="r1", kind="restore", reverts="f" * 40))


def test_a_promotion_asked_for_again_after_its_restore_is_made_again(remote: Remote) -> None:
    done = remote.gitops().deliver(bump(1, run="r1"))
    remote.gitops().deliver(bump(None, run="r1", kind="restore", reverts=done.commit))
    again = remote.gitops().deliver(bump(1, run="r1"))
    assert again.outcome == "pushed" and again.commit == remote.head() != done.commit


def test_a_retry_does_not_undo_a_persons_rollback(remote: Remote) -> None:
    remote.gitops().deliver(bump(1, run="r0"))
    done = remote.gitops().deliver(bump(2, run="r1"))
    remote.gitops().deliver(bump(1, run="person", kind="rollback"))
    head = remote.head()
    retried = remote.gitops().deliver(bump(2, run="r1"))
    assert (retried.outcome, retried.commit, retried.former) == ("already_there", done.commit, pin(1))
    assert remote.head() == head and retried.diff == done.diff


def test_one_run_may_deliver_to_two_places(make_remote: Callable[..., Remote]) -> None:
    remote = make_remote(values(2))
    remote.gitops().deliver(bump(1, "m0", run="r1"))
    assert remote.gitops().deliver(bump(1, "m1", run="r1")).outcome == "pushed"


def test_another_registered_model_is_refused(remote: Remote) -> None:
    remote.write(values().replace("m0-detector", "somebody-elses"))
    head = remote.head()
    with pytest.raises(ModelMismatch, match=f"^{FILE}:4: .*somebody-elses, not m0-detector"):
        remote.gitops().deliver(bump(1))
    assert remote.head() == head


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": "../outside"},
        {"app": "a/b"},
        {"pin": pin(1).__class__(1, "abc", "r")},
        {"pin": pin(1).__class__(1, "a" * 64, "")},
        {"pin": pin(1).__class__(-1, "a" * 64, "r")},
        {"pin": pin(1).__class__(None, "a" * 64, "")},
        {"kind": "restore"},
        {"reverts": "--upload-pack=x"},
        {"trailers": {"Dag-Run": "a\nReverts: b"}},
        {"trailers": {"No Token": "a"}},
    ],
)
def test_a_bump_that_cannot_be_right_is_refused_before_anything_is_read(
    remote: Remote, wrong: dict[str, object]
) -> None:
    good = {name: getattr(bump(1), name) for name in ("environment", "app", "model", "registered_model", "pin")}
    with pytest.raises(BumpInvalid):
        remote.gitops(url=str(remote.path / "never-asked")).deliver(bump(1).__class__(**good | wrong))


def test_missing_file_and_branch_are_named(remote: Remote) -> None:
    with pytest.raises(FileRefused, match=r"argocd-apps/production/detector/values.yaml:1: there is no such file"):
        remote.gitops().read("production", "detector", "m0")
    with pytest.raises(BranchNotFound, match="release"):
        remote.gitops(branch="release").read("sandbox", "detector", "m0")


def test_a_link_in_the_files_place_is_refused(remote: Remote) -> None:
    (remote.person / FILE).unlink()
    (remote.person / FILE).symlink_to("/etc/passwd")
    git(remote.person, "commit", "-qam", "A link")
    git(remote.person, "push", "-q", "origin", "HEAD:main")
    with pytest.raises(FileRefused, match="not a regular file"):
        remote.gitops().deliver(bump(1))


def test_history_tells_versions_newest_first_with_who_wrote_them(make_remote: Callable[..., Remote]) -> None:
    remote = make_remote(values(2))
    gitops = remote.gitops()
    first = gitops.deliver(bump(1, run="r1"))
    gitops.deliver(bump(1, "m1", run="other"))
    second = gitops.deliver(bump(2, run="r2"))
    remote.write("models: [broken\n", message="A mistake")
    by_hand = remote.write(values(2).replace("version: null", "version: 7", 1), message="By hand")
    back = gitops.deliver(bump(1, run="back", kind="rollback"))

    found = gitops.history("sandbox", "detector", "m0")

    assert [entry.model.pin.version for entry in found] == [1, 7, 2, 1, None]
    assert [entry.commit for entry in found[:4]] == [back.commit, by_hand, second.commit, first.commit]
    assert found[1].subject == "By hand" and found[2].trailers["Dag-Run"] == "digits/r2"
    assert [entry.commit for entry in gitops.history("sandbox", "detector", "m0", limit=2)] == [back.commit, by_hand]


def test_history_goes_back_as_far_as_needed(remote: Remote) -> None:
    done = remote.gitops().deliver(bump(1, run="r1"))
    tree = git(remote.path, "rev-parse", "main^{tree}").strip()
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {1700000000 + n} +0000\ndata 1\nx\n"
        + (f"from {done.commit}\n" if n == 0 else "")
        + f'M 040000 {tree} ""\n\n'
        for n in range(700)
    )
    git(remote.path, "fast-import", "--quiet", stdin=stream.encode())
    found = remote.gitops().history("sandbox", "detector", "m0", limit=1)
    assert [(entry.commit, entry.model.pin) for entry in found] == [(done.commit, pin(1))]


@pytest.mark.parametrize(("filters", "limit"), [("true", 60_000), ("false", 400_000)])
def test_no_more_is_fetched_than_the_commit_needs(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: str, limit: int
) -> None:
    """Neither other files nor the history; a remote that cannot leave files out sends those of the last commits."""
    rng = random.Random(1)
    remote.write(rng.randbytes(2_000_000).hex(), file="big.txt", message="Old ballast")
    for number in range(12):
        remote.write(rng.randbytes(100_000).hex(), file="big.txt", message=f"Recent ballast {number}")
    git(remote.path, "config", "uploadpack.allowFilter", filters)
    sizes = tmp_path / "sizes"
    hook = tmp_path / "count"
    pack = f"{tmp_path}/pack.$$"
    hook.write_text(f'#!/bin/sh\n"$@" > {pack}; wc -c < {pack} >> {sizes}; cat {pack}\n')
    hook.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(f'[uploadpack]\n\tpackObjectsHook = "{hook}"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))

    assert remote.gitops(search_depth=2).deliver(bump(1, run="r1")).outcome == "pushed"

    assert 0 < sum(map(int, sizes.read_text().split())) < limit


def test_a_revision_is_told_from_what_it_contains(remote: Remote) -> None:
    gitops = remote.gitops(search_depth=4)
    first = remote.head()
    done = gitops.deliver(bump(1, run="r1")).commit
    later = remote.write("x", file="other.txt")
    assert done is not None
    assert [gitops.relation(done, revision) for revision in (done, later)] == ["contains", "contains"]
    assert [gitops.relation(done, revision) for revision in (first, "f" * 40)] == ["lacks", "lacks"]
    git(remote.path, "update-ref", "refs/heads/main", first)
    assert gitops.relation(done, first) == "commit_gone"


def test_inside_a_git_hook_the_repository_around_it_is_left_alone(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook runs with these variables, which name the repository that it belongs to."""
    around = remote.person / ".git"
    index = (around / "index").read_bytes()
    objects = sorted(path for path in (around / "objects").rglob("*"))
    monkeypatch.setenv("GIT_DIR", str(around))
    monkeypatch.setenv("GIT_INDEX_FILE", str(around / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(around / "objects"))
    assert remote.gitops().deliver(bump(1)).outcome == "pushed"
    assert (around / "index").read_bytes() == index
    assert sorted(path for path in (around / "objects").rglob("*")) == objects


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(BumpInvalid, match="LIFECYCLE_GITOPS_URL"):
        GitOpsSettings(url="")
    with pytest.raises(BumpInvalid, match="LIFECYCLE_GITOPS_BRANCH"):
        GitOpsSettings(url="x", branch="--force")
