"""The moments in which handoffs usually go wrong, each with real git: somebody or something acts between two steps.

The seam is a `git` placed before the real one on PATH: it lets a test act at a named command, and passes everything on.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle.gitops import (
    BranchNotFound,
    DeliveryTimeout,
    FileRefused,
    LocalFailure,
    PushRefused,
    RepositoryNotFound,
)

from tests.integration.gitops.support import FILE, Remote, bump, git, pin, values

Interpose = Callable[..., Path]


@pytest.fixture
def interpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpose:
    """Run a shell script once, around the first `git <command>` that the delivery runs.

    In the script, `real` runs the real git as asked for. Returns a file with one line for each such command.
    """
    real = shutil.which("git")

    def install(command: str, script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        calls = folder / "calls"
        # A script of the person's own does not see the delivery's repository; one around the command has to.
        alone = f"unset GIT_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY; PATH={os.environ['PATH']}"
        acting = script if "real" in script else f"( {alone}; {script} ) >&2 </dev/null || exit 99"
        wrapper = folder / "git"
        wrapper.write_text(
            f"""#!/bin/sh
real() {{ {real} "$@"; }}
case " $* " in *" {command} "*) echo "$*" >> {calls} ;; *) exec {real} "$@" ;; esac
if mkdir {folder}/once 2>/dev/null; then
    {acting}
fi
exec {real} "$@"
"""
        )
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return calls

    return install


def person(remote: Remote, change: str) -> str:
    """A shell script: a person changes something in their clone and pushes it."""
    to_tip = "git fetch -q && git reset -q --hard origin/main"
    return f"cd {remote.person} && {to_tip} && {change} && git push -q origin HEAD:main"


# --- others write meanwhile -----------------------------------------------------------------------------------------


def test_a_commit_that_came_in_between_is_kept(remote: Remote, interpose: Interpose) -> None:
    calls = interpose("push", person(remote, f"sed -i 's/^# end/# edited/' {FILE} && git commit -qam Edited"))
    delivery = remote.gitops().deliver(bump(1, run="r1"))
    assert delivery.outcome == "pushed" and delivery.commit == remote.head()
    assert remote.subjects()[1] == "Edited" and "# edited" in remote.text() and "version: 1 " in remote.text()
    assert len(calls.read_text().splitlines()) == 2


def test_a_newer_version_that_came_in_between_supersedes(remote: Remote, interpose: Interpose) -> None:
    interpose("push", person(remote, f"sed -i 's/version: null/version: 9/' {FILE} && git commit -qam Nine"))
    delivery = remote.gitops().deliver(bump(1, run="r1"))
    assert delivery.outcome == "superseded" and remote.subjects()[0] == "Nine"


def test_a_hold_that_came_in_between_is_respected(remote: Remote, interpose: Interpose) -> None:
    interpose("push", person(remote, f"sed -i 's/hold: false/hold: true/' {FILE} && git commit -qam Hold"))
    assert remote.gitops().deliver(bump(1, run="r1")).outcome == "held"
    assert remote.subjects()[0] == "Hold"


def test_a_file_deleted_in_between_is_not_brought_back(remote: Remote, interpose: Interpose) -> None:
    interpose("push", person(remote, f"git rm -q {FILE} && git commit -qm Gone"))
    with pytest.raises(FileRefused, match="there is no such file"):
        remote.gitops().deliver(bump(1, run="r1"))
    assert remote.subjects()[0] == "Gone"


def test_a_file_broken_in_between_is_refused_where_it_is_broken(remote: Remote, interpose: Interpose) -> None:
    interpose("push", person(remote, f"sed -i '5s/.*/   broken: [/' {FILE} && git commit -qam Broken"))
    with pytest.raises(FileRefused, match=f"^{FILE}:[56]: not valid YAML"):
        remote.gitops().deliver(bump(1, run="r1"))
    assert remote.subjects()[0] == "Broken"


def test_a_branch_deleted_in_between_stays_deleted(remote: Remote, interpose: Interpose) -> None:
    interpose("push", f"git -C {remote.path} update-ref -d refs/heads/main")
    with pytest.raises(BranchNotFound, match="main"):
        remote.gitops().deliver(bump(1, run="r1"))
    assert git(remote.path, "for-each-ref", "refs/heads") == ""


def test_a_branch_force_pushed_in_between_is_followed_and_never_forced_back(
    remote: Remote, interpose: Interpose
) -> None:
    remote.write(values() + "# second\n", message="Second")
    old = remote.head()
    rewrite = f"git checkout -q --orphan new && echo '# rewritten' >> {FILE} && git commit -qam Rewritten"
    interpose("push", f"cd {remote.person} && {rewrite} && git push -qf origin new:main")
    delivery = remote.gitops().deliver(bump(1, run="r1"))
    assert delivery.outcome == "pushed" and remote.subjects()[1] == "Rewritten" and len(remote.subjects()) == 2
    assert old not in git(remote.path, "rev-list", "main").split() and "# rewritten" in remote.text()


def test_a_branch_rewound_in_between_is_not_forced_forward(remote: Remote, interpose: Interpose) -> None:
    first = remote.head()
    remote.write(values() + "# second\n", message="Second")
    interpose("push", f"git -C {remote.path} update-ref refs/heads/main {first}")
    assert remote.gitops().deliver(bump(1, run="r1")).outcome == "pushed"
    assert len(remote.subjects()) == 2 and "# second" not in remote.text()


def test_no_command_forces_anything(remote: Remote, interpose: Interpose) -> None:
    """The remote forbids every push that is not a fast-forward, and the push names the commit that it expects there."""
    git(remote.path, "config", "receive.denyNonFastForwards", "true")
    calls = interpose("push", person(remote, "git commit -q --allow-empty -m Other"))
    before = remote.head()
    remote.gitops().deliver(bump(1, run="r1"))
    for call in calls.read_text().splitlines():
        words = call.split()
        assert not {"-f", "--force"} & set(words) and not any(word.startswith("+") for word in words)
    assert f"--force-with-lease=refs/heads/main:{before}" in calls.read_text()


# --- the remote refuses, or is away ---------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_hook_that_declines_is_not_asked_again(remote: Remote, interpose: Interpose, hook: str) -> None:
    remote.hook(hook, "echo 'Only on Tuesdays' >&2; exit 1")
    calls = interpose("push", ":")
    head = remote.head()
    with pytest.raises(PushRefused, match="Only on Tuesdays") as refused:
        remote.gitops().deliver(bump(1, run="r1"))
    assert not refused.value.retryable and "main" in str(refused.value)
    assert len(calls.read_text().splitlines()) == 1 and remote.head() == head


def test_a_protected_branch_is_not_asked_again(remote: Remote) -> None:
    """The words of GitHub's refusal, said by a hook."""
    remote.hook("update", "echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1")
    with pytest.raises(PushRefused, match="GH006: Protected branch"):
        remote.gitops().deliver(bump(1, run="r1"))


def test_a_repository_that_is_not_there_is_not_asked_again(remote: Remote, interpose: Interpose) -> None:
    calls = interpose("fetch", ":")
    with pytest.raises(RepositoryNotFound, match="nowhere") as refused:
        remote.gitops(url=str(remote.path / "nowhere")).deliver(bump(1))
    assert not refused.value.retryable and len(calls.read_text().splitlines()) == 1


def test_a_remote_that_is_away_is_asked_until_the_time_limit() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/gitops.git"
        with pytest.raises(DeliveryTimeout, match=r"after \d+ attempts within the limit of 1 s.*onnect") as gave_up:
            Remote(Path(), Path()).gitops(url=url, time_limit=1.0).deliver(bump(1))
    assert gave_up.value.retryable


def test_a_remote_that_never_answers_is_left_at_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/gitops.git"
        with pytest.raises(DeliveryTimeout, match="did not end within 1 s"):
            Remote(Path(), Path()).gitops(url=url, time_limit=1.5, command_timeout=1.0).deliver(bump(1))


def test_a_remote_that_comes_back_in_time_gets_the_commit(remote: Remote) -> None:
    """At first it cannot store anything, like a server whose disk is full."""
    git(remote.path, "config", "receive.unpackLimit", "1")
    pack = remote.path / "objects" / "pack"
    moved = remote.path / "pack-away"
    shutil.move(pack, moved)
    pack.write_text("in the way")  # the remote cannot store packs
    release = subprocess.Popen(["sh", "-c", f"sleep 1; rm {pack}; mv {moved} {pack}"])
    try:
        assert remote.gitops().deliver(bump(1, run="r1")).outcome == "pushed"
    finally:
        release.wait()


def test_a_push_whose_answer_is_lost_counts_once(remote: Remote, interpose: Interpose) -> None:
    interpose("push", 'real "$@" >/dev/null 2>&1; echo "fatal: the remote end hung up unexpectedly" >&2; exit 128')
    delivery = remote.gitops().deliver(bump(1))  # not even a DAG run to tell by
    assert delivery.outcome == "pushed" and delivery.commit == remote.head() and delivery.former == pin(None)
    assert len(remote.subjects()) == 2


def test_clocks_that_are_wrong_do_not_matter(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    done = remote.gitops().deliver(bump(1, run="r1"))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2037-01-01T00:00:00Z")
    remote.write(remote.text() + "# from the future\n")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1999-01-01T00:00:00Z")
    remote.gitops().deliver(bump(2, run="r2"))
    retried = remote.gitops().deliver(bump(1, run="r1"))
    assert (retried.outcome, retried.commit) == ("already_there", done.commit)
    assert [entry.model.pin.version for entry in remote.gitops().history("sandbox", "detector", "m0")] == [2, 1, None]


# --- this machine ---------------------------------------------------------------------------------------------------


def test_a_full_disk_is_named_and_leaves_nothing(
    remote: Remote, tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=200k tmpfs {small} && exec "$@"', "sh"]
    if subprocess.run([*mount, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    remote.write(values() + f"# {random.Random(1).randbytes(300_000).hex()}\n")
    head = remote.head()
    program = f"""
from lifecycle.gitops import LocalFailure
from tests.integration.gitops.support import Remote, bump
from pathlib import Path
try:
    print(Remote(Path({str(remote.path)!r}), Path()).gitops(work_dir=Path({str(small)!r})).deliver(bump(1, run="r1")))
except LocalFailure as error:
    print(error.retryable, error, list(Path({str(small)!r}).iterdir()))
"""
    process = spawn(program, prefix=mount)
    out, err = process.communicate(timeout=60)
    assert out.startswith("True ") and "No space left on device" in out and out.rstrip().endswith("[]"), out + err
    assert remote.head() == head
    assert remote.gitops().deliver(bump(1, run="r1")).outcome == "pushed"


def test_a_worker_without_git_says_so(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalFailure, match="git is not installed"):
        remote.gitops().deliver(bump(1))


# --- many -----------------------------------------------------------------------------------------------------------


def test_a_repository_with_ten_thousand_commits_and_one_with_two_thousand_files(remote: Remote) -> None:
    tree = git(remote.path, "rev-parse", "main^{tree}").strip()
    files = "".join(
        f"M 100644 inline argocd-apps/sandbox/app{n}/values.yaml\ndata {len(values(1))}\n{values(1)}\n"
        for n in range(2000)
    )
    commits = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {1700000000 + n} +0000\ndata 1\nx\n"
        + (f"from {remote.head()}\n" if n == 0 else "")
        + (f'M 040000 {tree} ""\n{files}' if n == 0 else f"M 100644 inline other\ndata 5\n{n:05}\n")
        for n in range(10_000)
    )
    git(remote.path, "fast-import", "--quiet", stdin=commits.encode())
    done = remote.gitops().deliver(bump(1, run="r1"))
    assert done.outcome == "pushed"
    assert remote.gitops().deliver(bump(1, run="r1")).commit == done.commit
    assert git(remote.path, "diff", "--name-only", "main~1", "main").split() == [FILE]
    assert len(git(remote.path, "ls-tree", "-r", "main").splitlines()) == 2003


@pytest.mark.parametrize("after", [0, 1, 4, 5, 6])
def test_a_retry_finds_its_commit_as_far_back_as_the_settings_say(remote: Remote, after: int) -> None:
    """Also at the very edge, where the commit is fetched but the one before it is not."""
    done = remote.gitops().deliver(bump(1, run="r1"))
    remote.gitops().deliver(bump(2, run="r2"))
    for number in range(after):
        remote.write(str(number), file="other.txt")
    retried = remote.gitops(search_depth=6).deliver(bump(1, run="r1"))
    if after < 6:
        assert (retried.outcome, retried.commit, retried.former) == ("already_there", done.commit, pin(None))
    else:
        assert retried.outcome == "superseded"  # too far back to be found, but the file still tells
