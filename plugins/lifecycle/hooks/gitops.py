"""The GitOps repository, as the settings and the git connection describe it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lifecycle.connections import connections
from lifecycle.settings import settings

if TYPE_CHECKING:
    from lifecycle.gitops import GitCredentials, GitOps, GitOpsSettings


class GitOpsHook:
    """Opens the repository that Argo CD deploys from.

    The connection's fields are those of the git provider's type: `login`, `password` (a token); in the extra
    `private_key` or `key_file`, and `known_hosts`, `signing_key`, `api_token`.

    :param git_conn_id: the connection with the credentials; empty: none are needed.
    """

    def __init__(self, git_conn_id: str = "") -> None:
        self.git_conn_id = git_conn_id

    @classmethod
    def from_settings(cls) -> GitOpsHook:
        """With the connection that the settings name."""
        return cls(settings().gitops_conn_id)

    def get_conn(self, delivery: str = "") -> GitOps:
        """Return the repository; nothing is asked of it yet. `delivery`: a stage's; empty: as the setting says."""
        from lifecycle.gitops import GitOps

        return GitOps(_chosen(delivery), self.credentials())

    def credentials(self) -> GitCredentials | None:
        """Return the connection's credentials, or None if no connection is named.

        Raises:
            CredentialsInvalid: they are incomplete, or contradict each other.
        """
        from lifecycle.gitops import GitCredentials

        if not self.git_conn_id:
            return None
        connection = connections().get(self.git_conn_id)
        extra = connection.extra_dejson
        key = extra.get("private_key") or (Path(extra["key_file"]).read_text() if extra.get("key_file") else None)
        return GitCredentials(
            username=connection.login or "git",
            token=None if key else connection.password or None,
            ssh_key=key,
            known_hosts=extra.get("known_hosts"),
            signing_key=extra.get("signing_key"),
            api_token=extra.get("api_token"),
        )


def repository(delivery: str = "") -> GitOps:
    """The GitOps repository that the settings name; `delivery`: how a stage has its commits delivered."""
    return GitOpsHook.from_settings().get_conn(delivery)


def _chosen(delivery: str) -> GitOpsSettings:
    """Where the repository is, how commits look and how they are delivered."""
    from lifecycle.gitops import GitOpsSettings
    from lifecycle.gitops.settings import DEFAULT_MESSAGE

    chosen = settings()
    return GitOpsSettings(
        url=chosen.gitops_url,
        branch=chosen.gitops_branch,
        author_name=chosen.gitops_author_name,
        author_email=chosen.gitops_author_email,
        message_template=chosen.gitops_message or DEFAULT_MESSAGE,
        signing=chosen.gitops_signing,
        signing_key=chosen.gitops_signing_key,
        delivery=cast(Any, delivery) or chosen.gitops_delivery,
        api_url=chosen.gitops_api_url,
        time_limit=chosen.gitops_time_limit,
    )
