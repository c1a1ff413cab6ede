"""From the git connection to credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifecycle.gitops import CredentialsInvalid
from lifecycle.hooks.gitops import GitOpsHook

from tests.support.airflow_connections import Connect


def test_no_git_connection_means_no_credentials(connect: Connect) -> None:
    connect("unused", {"conn_type": "git"}, GITOPS_CONN_ID="")
    assert GitOpsHook.from_settings().credentials() is None


def test_token_comes_from_the_git_connection(connect: Connect) -> None:
    fields = {"conn_type": "git", "login": "bot", "password": "t0ken"}
    connect("release", fields, GITOPS_CONN_ID="release")
    found = GitOpsHook.from_settings().credentials()
    assert found is not None
    assert (found.username, found.token, found.ssh_key) == ("bot", "t0ken", None)
    assert "t0ken" not in repr(found)


def test_ssh_key_comes_from_the_git_connection_or_its_file(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from the file")
    for extra, key in (({"private_key": "inline"}, "inline"), ({"key_file": str(file)}, "from the file")):
        fields = {"conn_type": "git", "password": "passphrase", "extra": {**extra, "known_hosts": "host key"}}
        connect("release", fields, GITOPS_CONN_ID="release")
        found = GitOpsHook.from_settings().credentials()
        assert found is not None
        assert (found.ssh_key, found.known_hosts, found.token) == (key, "host key", None)


def test_ssh_key_without_known_hosts_is_refused(connect: Connect) -> None:
    connect("release", {"conn_type": "git", "extra": {"private_key": "k"}}, GITOPS_CONN_ID="release")
    with pytest.raises(CredentialsInvalid, match="known hosts"):
        GitOpsHook.from_settings().credentials()
