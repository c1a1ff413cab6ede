"""Tokens and keys: they open the remote, and are seen nowhere else.

The server is real (git http-backend). For SSH there is no server on every machine: there the program `ssh` is a script
that looks at what it was given and then runs the remote's git itself.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifecycle.gitops import (
    AuthenticationFailed,
    CredentialsInvalid,
    GitCredentials,
    GitOps,
    GitOpsSettings,
    RepositoryNotFound,
)

from tests.integration.gitops.support import Remote, bump, git
from tests.support.git_http_server import GitHttpServer

TOKEN = "tok/en+with=odd&chars%41"


@pytest.fixture
def server(remote: Remote) -> Iterator[GitHttpServer]:
    with GitHttpServer(remote.path.parent, token=TOKEN) as started:
        yield started


def over_http(server: GitHttpServer, token: str = TOKEN, **settings: object) -> GitOps:
    defaults: dict[str, object] = {
        "url": f"http://{server.origin}/gitops.git",
        "time_limit": 20.0,
        "backoff_base": 0.02,
    }
    return GitOps(
        GitOpsSettings(**defaults | settings),  # type: ignore[arg-type]
        GitCredentials(username="robot", token=token),
    )


class Witness:
    """Looks at every process and file of this delivery while the server is asked for something."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = b""
        self.programs: set[str] = set()
        self.files: dict[str, int] = {}

    def look(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if process.stat().st_uid != os.getuid() or int(process.name) == os.getpid():
                    continue
                arguments = (process / "cmdline").read_bytes()
                if b"git" in arguments:
                    self.programs.add(arguments.split(b"\0")[0].decode().rpartition("/")[2])
                self.seen += arguments + (process / "environ").read_bytes()
            except OSError:
                continue  # it ended while we looked
        for path in self.folder.rglob("*"):
            if path.is_file() and TOKEN.encode() in path.read_bytes():
                self.files[path.name] = path.stat().st_mode & 0o777
                assert path.parent.stat().st_mode & 0o077 == 0


def test_a_token_opens_the_remote_and_is_seen_nowhere(
    remote: Remote,
    server: GitHttpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for variable in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE", "GIT_TRACE2", "GIT_TRACE_PACKET"):
        monkeypatch.setenv(variable, "1")  # somebody is debugging the worker
    stored = tmp_path / "stored"
    config = tmp_path / "config"
    config.write_text(f"[credential]\n\thelper = store --file={stored}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    witness = Witness(tmp_path / "tmp")
    server.on_request = witness.look
    caplog.set_level(logging.DEBUG)

    gitops = over_http(server)
    delivery = gitops.deliver(bump(1, run="r1"))

    assert delivery.outcome == "pushed" and delivery.commit == remote.head()
    assert "git-remote-http" in witness.programs
    assert witness.files == {"token": 0o600}
    everything = witness.seen.decode(errors="replace") + caplog.text + repr(delivery) + repr(vars(gitops))
    everything += "".join(server.requests) + remote.message() + (remote.path / "config").read_text()
    for secret in GitCredentials(token=TOKEN).secrets():
        assert secret not in everything
    assert "GIT_ASKPASS=" in everything  # the witness did see the processes' environment
    assert not stored.exists() and list((tmp_path / "tmp").iterdir()) == []


def test_a_wrong_token_is_refused_at_once_without_showing_it(
    server: GitHttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AuthenticationFailed, match="does not accept the credentials") as refused:
        over_http(server, token="wrong-but-secret").deliver(bump(1))
    assert not refused.value.retryable and len(server.requests) <= 3
    chain: BaseException | None = refused.value
    while chain is not None:
        assert "wrong-but-secret" not in f"{chain!r}{chain}{caplog.text}"
        chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize(("status", "error"), [(403, AuthenticationFailed), (404, RepositoryNotFound)])
def test_what_a_retry_cannot_mend_is_asked_once(server: GitHttpServer, status: int, error: type[Exception]) -> None:
    server.always = status
    with pytest.raises(error):
        over_http(server).deliver(bump(1))
    assert len(server.requests) == 1


def test_a_server_that_restarts_is_asked_again(remote: Remote, server: GitHttpServer) -> None:
    server.fail_first = 3
    assert over_http(server).deliver(bump(1)).commit == remote.head()


def test_a_redirect_does_not_carry_the_token_elsewhere(remote: Remote, server: GitHttpServer) -> None:
    with GitHttpServer(remote.path.parent, token=TOKEN) as elsewhere:
        server.redirect_to = f"http://{elsewhere.origin}"
        with pytest.raises(AuthenticationFailed):
            over_http(server).deliver(bump(1))
        assert elsewhere.requests and elsewhere.authorizations == []


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(CredentialsInvalid) as refused:
        GitOpsSettings(url="https://robot:hunter2@example.com/a.git")
    assert "hunter2" not in str(refused.value)


def test_repr_shows_no_secret() -> None:
    shown = repr(GitCredentials(token="a1b2c3", signing_key="k3y", api_token="t0k"))
    assert not any(secret in shown for secret in ("a1b2c3", "k3y", "t0k"))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"ssh_key": "key"}, "no known hosts"),
        ({"ssh_key": "key", "known_hosts": " "}, "no known hosts"),
        ({"ssh_key": "key", "known_hosts": "h", "token": "t"}, "both"),
        ({"token": "a\nb"}, "line break"),
        ({"token": ""}, "empty"),
    ],
)
def test_credentials_that_cannot_work_are_refused(wrong: dict[str, str], problem: str) -> None:
    with pytest.raises(CredentialsInvalid, match=problem):
        GitCredentials(**wrong)


def test_a_token_needs_an_http_url(remote: Remote) -> None:
    gitops = GitOps(GitOpsSettings(url="git@example.com:team/gitops.git"), GitCredentials(token="t"))
    with pytest.raises(CredentialsInvalid, match="not an http"):
        gitops.deliver(bump(1))


# --- SSH ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ssh_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `ssh` that records its arguments and the files that they name, then runs the remote's command here."""
    folder = tmp_path / "ssh-bin"
    folder.mkdir()
    calls = tmp_path / "ssh-calls"
    program = folder / "ssh"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {calls}
for word; do
    case "$previous" in -i) stat -c 'key mode %a' "$word" >> {calls}; cp "$word" {tmp_path}/key-seen ;; esac
    case "$word" in UserKnownHostsFile=*) cp "${{word#*=}}" {tmp_path}/hosts-seen ;; esac
    previous=$word
done
if test -e {tmp_path}/refuse; then cat {tmp_path}/refuse >&2; exit 255; fi
exec sh -c "$word"
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return calls


def over_ssh(remote: Remote) -> GitOps:
    settings = GitOpsSettings(url=f"ssh://git@example.com{remote.path}", time_limit=10.0)
    return GitOps(settings, GitCredentials(ssh_key="PRIVATE KEY TEXT", known_hosts="example.com ssh-ed25519 AAAA"))


def test_an_ssh_key_is_used_with_its_known_hosts_and_nothing_else(
    remote: Remote, tmp_path: Path, ssh_calls: Path
) -> None:
    assert over_ssh(remote).deliver(bump(1)).commit == remote.head()
    calls = ssh_calls.read_text()
    assert (tmp_path / "key-seen").read_text() == "PRIVATE KEY TEXT\n"
    assert (tmp_path / "hosts-seen").read_text() == "example.com ssh-ed25519 AAAA\n"
    assert "key mode 600" in calls and "PRIVATE" not in calls
    for option in ("-F /dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"):
        assert option in calls
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("Host key verification failed.", "identity is not the expected one"),
        ("git@example.com: Permission denied (publickey).", "does not accept the credentials"),
    ],
)
def test_ssh_refusals_are_not_repeated(
    remote: Remote, tmp_path: Path, ssh_calls: Path, said: str, problem: str
) -> None:
    (tmp_path / "refuse").write_text(f"{said}\n")
    with pytest.raises(AuthenticationFailed, match=problem):
        over_ssh(remote).deliver(bump(1))
    assert ssh_calls.read_text().count("upload-pack") == 1


# --- signatures -----------------------------------------------------------------------------------------------------


def test_commits_are_signed_with_an_ssh_key_from_the_connection(remote: Remote, tmp_path: Path) -> None:
    key = tmp_path / "signing"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    settings = GitOpsSettings(url=remote.url, signing="ssh", author_email="robot@example.com")
    GitOps(settings, GitCredentials(signing_key=key.read_text())).deliver(bump(1))
    signers = tmp_path / "signers"
    signers.write_text(f"robot@example.com {key.with_suffix('.pub').read_text()}")
    option = f"gpg.ssh.allowedSignersFile={signers}"
    verified = subprocess.run(
        ["git", "-C", str(remote.path), "-c", option, "verify-commit", "main"], capture_output=True, text=True
    )
    assert verified.returncode == 0 and "Good" in verified.stderr + verified.stdout


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_commits_are_signed_with_a_gpg_key_of_the_worker(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tempfile.mkdtemp(prefix="gpg", dir="/tmp")  # gpg-agent's socket allows no long path
    monkeypatch.setenv("GNUPGHOME", home)
    try:
        identity = "Robot <robot@example.com>"
        create = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", identity, "ed25519", "sign"]
        subprocess.run(create, check=True, capture_output=True)
        settings = GitOpsSettings(url=remote.url, signing="gpg", signing_key="robot@example.com")
        assert GitOps(settings).deliver(bump(1)).outcome == "pushed"
        assert git(remote.path, "log", "-1", "--format=%G? %GS", "main").startswith("U Robot") or "G Robot" in git(
            remote.path, "log", "-1", "--format=%G? %GS", "main"
        )
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def test_signing_without_a_key_is_refused(remote: Remote) -> None:
    with pytest.raises(CredentialsInvalid, match="there is no key"):
        GitOps(GitOpsSettings(url=remote.url, signing="ssh")).deliver(bump(1))
    assert len(remote.subjects()) == 1
