"""The commit that a pin names, checked out by the rendered pod's own script: from the git host, or from the cache."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.charts.conftest import CHART, Manifest, Render

# The sandbox's stand-in; docs/evidence.md says what the real one was seen to do.
PROGRAM = CHART.parents[1] / "sandbox" / "images" / "git-sync"
Done = subprocess.CompletedProcess[str]
Fetch = Callable[..., list[Done]]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(host: Path, content: str) -> str:
    (host / "model.py").write_text(content)
    git(host, "add", "model.py")
    git(host, "commit", "-qm", content)
    return git(host, "rev-parse", "HEAD")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


@pytest.fixture
def fetch(values: Manifest, model: Manifest, render: Render, tmp_path: Path, host: Path) -> Fetch:
    """Run the init container of new pods, all at once, whose model is pinned to that commit; `room`: they can write."""

    def run(pin: str, pods: int = 1, room: bool = True) -> list[Done]:
        model["codeCommit"] = pin
        values["modelRepository"]["gitSync"] |= {"repo": f"file://{host}", "maxFailures": 1}
        container = render(values, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"][0]
        env = {"PATH": f"{PROGRAM}:/usr/bin:/bin"} | {entry["name"]: entry["value"] for entry in container["env"]}
        env["CODE"] = f"{tmp_path}{env['CODE']}"
        (tmp_path / "cache").mkdir(exist_ok=True)

        def start(number: int) -> Done:
            own = tmp_path / f"git{number}"
            if own.is_file():
                own.unlink()
            shutil.rmtree(own, ignore_errors=True)
            own.mkdir() if room else own.touch()
            command = [*container["command"], *container["args"]]
            given = {**env, "GITSYNC_ROOT": str(own)}
            return subprocess.run(command, env=given, capture_output=True, text=True, timeout=30, check=False)

        with ThreadPoolExecutor(pods) as pool:
            return list(pool.map(start, range(pods)))

    return run


def served(tmp_path: Path) -> str:
    return (tmp_path / "git0" / "current" / "model.py").read_text()


def test_a_push_reaches_no_pod_and_a_restart_needs_no_git_host(fetch: Fetch, host: Path, tmp_path: Path) -> None:
    proved = commit(host, "proved")
    newer = commit(host, "pushed since")
    (done,) = fetch(proved)
    assert (done.returncode, served(tmp_path)) == (0, "proved"), done.stderr
    assert f"commit {proved} of the code: fetched, and kept in the cache" in done.stdout

    host.rename(tmp_path / "gone")
    (done,) = fetch(proved)
    assert (done.returncode, served(tmp_path)) == (0, "proved"), done.stderr
    assert f"commit {proved} of the code: from the cache, without the git host" in done.stdout
    assert (tmp_path / "git0" / "current").readlink() == Path(".worktrees") / proved
    # A release that this cache has never seen waits for the host.
    assert fetch(newer)[0].returncode == 1


def test_a_damaged_copy_is_fetched_again(fetch: Fetch, host: Path, tmp_path: Path) -> None:
    proved = commit(host, "proved")
    assert fetch(proved)[0].returncode == 0
    copy = tmp_path / "cache" / "code" / f"{proved}.git"
    for file in (path for path in (copy / "objects").rglob("*") if path.is_file()):
        file.chmod(0o644)
        file.write_bytes(b"not git's")
    (done,) = fetch(proved)
    assert (done.returncode, served(tmp_path)) == (0, "proved"), done.stderr
    assert "the copy in the cache is damaged" in done.stderr
    assert "from the cache" in fetch(proved)[0].stdout


def test_a_pod_that_cannot_write_leaves_a_sound_copy_alone(fetch: Fetch, host: Path, tmp_path: Path) -> None:
    proved = commit(host, "proved")
    assert fetch(proved)[0].returncode == 0
    host.rename(tmp_path / "gone")
    (done,) = fetch(proved, room=False)
    assert done.returncode != 0 and "whose copy is whole" in done.stderr
    assert "from the cache" in fetch(proved)[0].stdout


def test_pods_that_start_at_once_share_the_cache_and_old_commits_leave_it(
    fetch: Fetch, host: Path, tmp_path: Path
) -> None:
    pins = [commit(host, f"code {number}") for number in range(12)]
    done = fetch(pins[-1], pods=4)
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    for pin in pins[:-1]:
        assert fetch(pin)[0].returncode == 0
    kept = {path.name for path in (tmp_path / "cache" / "code").iterdir()}
    assert kept == {f"{pin}.git" for pin in pins[1:-1]}, "the ten that were used last, and no leftover"
