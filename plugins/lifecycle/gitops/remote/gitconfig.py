"""The configuration of the short-lived repository, written as a file so that nothing of it is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lifecycle.gitops.errors import CredentialsInvalid
from lifecycle.gitops.remote.credentials import GitCredentials, write_private
from lifecycle.gitops.settings import GitOpsSettings


def base_config(settings: GitOpsSettings) -> dict[str, str]:
    """What every delivery needs; keys as `git config` spells them."""
    return {
        "remote.origin.url": settings.url,
        # Lets git fetch single missing objects later.
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "core.hooksPath": "/dev/null",
        "commit.gpgSign": "false",
        "push.gpgSign": "false",
        "push.followTags": "false",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "advice.detachedHead": "false",
        # A transfer that crawls below 1 kB/s for 30 s counts as unreachable.
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "30",
    }


def signing_config(settings: GitOpsSettings, credentials: GitCredentials | None, folder: Path) -> dict[str, str]:
    """Which key signs, if any: the connection's own (SSH), else the one that the settings name."""
    if not settings.signing:
        return {}
    key = settings.signing_key
    if settings.signing == "ssh" and credentials is not None and credentials.signing_key:
        key = str(write_private(folder / "signing_key", credentials.signing_key.strip() + "\n"))
    if not key:
        raise CredentialsInvalid(
            f"Commits shall be signed ({settings.signing}) but there is no key. Set the signing key to a key id of the "
            "worker's GPG keyring, or to the path of an SSH key, or put an SSH key into the connection's extra."
        )
    return {"gpg.format": "ssh" if settings.signing == "ssh" else "openpgp", "user.signingKey": key}


def config_text(config: Mapping[str, str]) -> str:
    """The settings in the syntax of a git configuration file."""
    lines = []
    for key, value in config.items():
        section, _, name = key.rpartition(".")
        head, dot, sub = section.partition(".")
        title = f'{head} "{sub}"' if dot else head
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'[{title}]\n\t{name} = "{escaped}"\n')
    return "".join(lines)
