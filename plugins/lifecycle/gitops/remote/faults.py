"""From what git printed to a typed error: what may be tried again, and what a person must fix first."""

from __future__ import annotations

import re

from lifecycle.gitops.errors import (
    AuthenticationFailed,
    BranchNotFound,
    GitOpsError,
    LocalFailure,
    PushRefused,
    RemoteUnavailable,
    RepositoryNotFound,
)

_LOCAL = ("no space left on device", "disk quota exceeded", "read-only file system", "too many open files")
_IDENTITY = ("host key verification failed", "certificate verif", "ssl certificate problem", "certificate has expired")
_AUTHENTICATION = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied (publickey",
    "permission denied, please try again",
    "terminal prompts disabled",
    "invalid credentials",
    "access denied",
    "http basic: access denied",
    "returned error: 401",
    "returned error: 403",
    "load key",
)
_REPOSITORY = (
    "repository not found",
    "does not appear to be a git repository",
    "returned error: 404",
    "project you were looking for could not be found",
    "dubious ownership",
)
# Another writer was faster: between our reading and our push, the branch moved.
_RACE = re.compile(
    r"\[rejected\]|cannot lock ref|failed to update ref|failed to lock|incorrect old value|reference already exists"
)
# The remote wanted to take the commit but could not store it: its disk, or a restart.
_STORAGE = ("unpack", "unable to migrate objects", "Internal Server Error")


class Race(Exception):
    """The branch is no longer where it was read; read it again."""


def transport_fault(doing: str, url: str, stderr: str) -> GitOpsError:
    """The error for a fetch or push that did not get through at all."""
    text = stderr.lower()
    said = _last_words(stderr)
    if any(word in text for word in _LOCAL):
        return LocalFailure(f"This worker could not {doing} {url}: {said}. Free space on it, then clear the task.")
    if any(word in text for word in _IDENTITY):
        return AuthenticationFailed(
            f"Could not {doing} {url}: the server's identity is not the expected one ({said}). Check the known hosts "
            "or the certificate authority before you trust it."
        )
    if any(word in text for word in _AUTHENTICATION):
        return AuthenticationFailed(
            f"Could not {doing} {url}: the remote does not accept the credentials ({said}). Renew them in the Airflow "
            "connection, or give them the right to write to this repository."
        )
    if "couldn't find remote ref" in text or "could not find remote branch" in text:
        return BranchNotFound(
            f"Could not {doing} {url}: {said}. Restore the branch, or set LIFECYCLE_GITOPS_BRANCH to another."
        )
    if any(word in text for word in _REPOSITORY) or re.search(r"repository '.*' not found", text):
        return RepositoryNotFound(
            f"Could not {doing} {url}: {said}. Check the URL, and that these credentials may see the repository."
        )
    return RemoteUnavailable(f"Could not {doing} {url}: {said}")


def push_fault(url: str, branch: str, porcelain: str, stderr: str) -> GitOpsError | Race:
    """The error for a push that git says did not succeed; Race when another writer was faster."""
    rejected = [line for line in porcelain.splitlines() if line.startswith("!")]
    if not rejected:
        return transport_fault("push to", url, stderr)
    text = f"{rejected[0]}\n{stderr}"
    if _RACE.search(rejected[0]):
        return Race(_remote_words(text))
    if any(word in rejected[0] for word in _STORAGE):
        return RemoteUnavailable(f"The remote {url} could not store the commit: {_remote_words(text)}")
    return PushRefused(
        f"The remote {url} refused the commit on the branch {branch}: {_remote_words(text)}. Nothing was changed. "
        "Allow this account to push there, or deliver by merge request."
    )


def _remote_words(text: str) -> str:
    """What the remote itself said (hooks print to `remote:` lines), with the reason of the rejection."""
    said = [line.removeprefix("remote:").strip() for line in text.splitlines() if line.startswith("remote:")]
    reason = re.search(r"\[remote rejected\] \((.*)\)", text)
    words = [word for word in said if word] + ([reason[1]] if reason else [])
    return "; ".join(words)[:1000] or _last_words(text)


def _last_words(stderr: str) -> str:
    """The lines that carry the reason, on one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(?i)(fatal|error|remote|ssh|permission|host key|load key)\b", line)]
    return "; ".join(telling or lines[-3:])[:1000] or "git said nothing"
