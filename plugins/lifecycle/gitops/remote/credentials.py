"""Credentials for git: handed over by files that only this user can read, never by URL or argument.

A token reaches git through GIT_ASKPASS, which answers for the repository's own host alone, so that a redirect cannot
carry it elsewhere. An SSH key is used with the known hosts that came with it and with nothing of the worker's own.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from lifecycle.gitops.errors import CredentialsInvalid

_ASKPASS = """#!/bin/sh
# git asks "Username for '<origin>': " or "Password for '<user>@<origin>': "; other origins get no answer.
here=$(dirname "$0")
origin=$(cat "$here/origin")
case "$1" in
  *"://$origin'"*|*"@$origin'"*) ;;
  *) exit 1 ;;
esac
case "$1" in
  Username*) cat "$here/username" ;;
  Password*) cat "$here/token" ;;
  *) exit 1 ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class GitCredentials:
    """A token with the user name it belongs to, or an SSH key with known hosts; and a key that signs commits.

    `api_token` opens merge requests where git itself uses an SSH key. None of the secrets appears in `repr`.
    """

    username: str = "git"
    token: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    known_hosts: str | None = field(default=None, repr=False)
    signing_key: str | None = field(default=None, repr=False)
    api_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is not None and self.ssh_key is not None:
            raise CredentialsInvalid(
                "The git connection has both a token and an SSH key. Keep the one that the URL needs."
            )
        if self.ssh_key is not None and not (self.known_hosts or "").strip():
            raise CredentialsInvalid(
                "The git connection has an SSH key but no known hosts, so the server could be anybody. Add "
                "`known_hosts` to its extra: the output of `ssh-keyscan <host>`, compared with what the host publishes."
            )
        if self.token is not None and (
            not self.token or not self.token.isprintable() or not self.username.isprintable()
        ):
            raise CredentialsInvalid("The git connection's token is empty or holds a line break. Paste it again.")

    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be seen, longest first, also as it would look in a URL."""
        plain = [
            text.strip()
            for text in (self.token, self.api_token, self.ssh_key, self.signing_key)
            if text and text.strip()
        ]
        found = {form for text in plain for form in (text, quote(text, safe=""))}
        return tuple(sorted(found, key=len, reverse=True))

    def install(self, folder: Path, url: str) -> dict[str, str]:
        """Write what git needs into `folder` (mode 0700) and return the environment that points to it."""
        if self.token is not None:
            return self._install_token(folder, url)
        if self.ssh_key is not None and self.known_hosts is not None:
            key = write_private(folder / "ssh_key", self.ssh_key.strip() + "\n")
            hosts = write_private(folder / "known_hosts", self.known_hosts.strip() + "\n")
            return {"GIT_SSH_COMMAND": _ssh(key, hosts), "GIT_SSH_VARIANT": "ssh"}
        return {}

    def _install_token(self, folder: Path, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise CredentialsInvalid(
                f"The git connection has a token, but {url} is not an http(s) URL. Use the repository's https URL, or "
                "an SSH key."
            )
        write_private(folder / "origin", parts.netloc.rpartition("@")[2])
        write_private(folder / "username", self.username)
        write_private(folder / "token", self.token or "")
        script = write_private(folder / "askpass", _ASKPASS, mode=0o700)
        return {"GIT_ASKPASS": str(script)}


def write_private(path: Path, text: str, mode: int = 0o600) -> Path:
    """Create a file that is never, not even for a moment, readable to others."""
    path.touch(mode=mode, exist_ok=False)
    path.chmod(mode)
    path.write_text(text)
    return path


def _ssh(key: Path, known_hosts: Path) -> str:
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "2",
    }
    words = ["ssh", "-F", "/dev/null", "-i", str(key)]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return shlex.join(words)
