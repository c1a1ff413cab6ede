"""What git and the hosting services print, and which error a caller gets for it."""

import pytest
from lifecycle.gitops import (
    AuthenticationFailed,
    BranchNotFound,
    GitOpsError,
    LocalFailure,
    PushRefused,
    RemoteUnavailable,
    RepositoryNotFound,
)
from lifecycle.gitops.remote.faults import Race, push_fault, transport_fault

URL = "https://example.com/team/gitops.git"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("fatal: Authentication failed for 'https://example.com/'", AuthenticationFailed),
        ("remote: HTTP Basic: Access denied. If a password was provided …", AuthenticationFailed),
        ("fatal: could not read Username for 'https://example.com': terminal prompts disabled", AuthenticationFailed),
        (
            "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            AuthenticationFailed,
        ),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", AuthenticationFailed),
        ("fatal: unable to access 'x': server certificate verification failed.", AuthenticationFailed),
        ("fatal: unable to access 'x': The requested URL returned error: 403", AuthenticationFailed),
        ("remote: Repository not found.\nfatal: repository 'https://example.com/x/' not found", RepositoryNotFound),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", RepositoryNotFound),
        ("fatal: '/srv/x' does not appear to be a git repository", RepositoryNotFound),
        ("fatal: couldn't find remote ref refs/heads/main", BranchNotFound),
        ("fatal: write error: No space left on device", LocalFailure),
        ("fatal: unable to access 'x': Could not resolve host: example.com", RemoteUnavailable),
        (
            "fatal: unable to access 'x': Failed to connect to example.com port 443: Connection refused",
            RemoteUnavailable,
        ),
        ("error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502", RemoteUnavailable),
        ("fatal: early EOF", RemoteUnavailable),
        ("kex_exchange_identification: Connection closed by remote host", RemoteUnavailable),
        ("", RemoteUnavailable),
    ],
)
def test_transport(printed: str, expected: type[GitOpsError]) -> None:
    fault = transport_fault("fetch from", URL, printed)
    assert type(fault) is expected and URL in str(fault)
    assert fault.retryable == (expected in (RemoteUnavailable, LocalFailure))


@pytest.mark.parametrize(
    ("porcelain", "printed", "expected"),
    [
        ("!\ta:refs/heads/main\t[rejected] (fetch first)", "", Race),
        ("!\ta:refs/heads/main\t[rejected] (stale info)", "", Race),
        (
            "!\ta:refs/heads/main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at b but expected c)",
            "",
            Race,
        ),
        ("!\ta:refs/heads/main\t[remote rejected] (failed to update ref)", "", Race),
        ("!\ta:refs/heads/main\t[remote rejected] (incorrect old value provided)", "", Race),
        ("!\ta:refs/heads/main\t[remote rejected] (pre-receive hook declined)", "remote: cannot lock ref", PushRefused),
        (
            "!\ta:refs/heads/main\t[remote rejected] (protected branch hook declined)",
            "remote: error: GH006",
            PushRefused,
        ),
        ("!\ta:refs/heads/main\t[remote rejected] (push declined due to repository rule violations)", "", PushRefused),
        ("!\ta:refs/heads/main\t[remote rejected] (unpacker error)", "", RemoteUnavailable),
        ("!\ta:refs/heads/main\t[remote rejected] (Internal Server Error)", "", RemoteUnavailable),
        ("", "fatal: the remote end hung up unexpectedly", RemoteUnavailable),
    ],
)
def test_push(porcelain: str, printed: str, expected: type[Exception]) -> None:
    assert type(push_fault(URL, "main", f"To {URL}\n{porcelain}\nDone", printed)) is expected


def test_a_refusal_repeats_what_the_remote_said() -> None:
    fault = push_fault(
        URL,
        "main",
        "!\ta:refs/heads/main\t[remote rejected] (pre-receive hook declined)",
        "remote: Commits need a ticket.     \nremote: \nremote: See the wiki.     \nerror: failed to push some refs",
    )
    assert "Commits need a ticket.; See the wiki.; pre-receive hook declined" in str(fault)
