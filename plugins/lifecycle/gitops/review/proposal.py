"""Delivery by merge request: a branch with the one commit, and a request that a person (or a rule) merges.

The branch's name follows from the DAG run and the change, so that a retried task finds its own branch and request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.gitops.errors import RequestRefused
from lifecycle.gitops.message import trailers_of
from lifecycle.gitops.models import Bump, Delivery
from lifecycle.gitops.remote.clone import Clone
from lifecycle.gitops.review.hosts import Host
from lifecycle.model import names
from lifecycle.model.pin import Pin


def branch_of(bump: Bump) -> str:
    """The request's branch: readable, and the same for the same change by the same DAG run. No slash: see hosts.py."""
    trailers = trailers_of(bump)
    telling = [
        names.DAG_RUN_TRAILER,
        names.DELIVERY_TRAILER,
        names.MODEL_VERSION_TRAILER,
        names.MLFLOW_RUN_TRAILER,
    ]
    if not bump.newest_code:
        telling.append(names.CODE_COMMIT_TRAILER)
    wanted = "\n".join(f"{key}: {trailers.get(key, '')}" for key in telling)
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:10]
    version = "none" if bump.pin.version is None else str(bump.pin.version)
    words = f"{bump.kind}-{bump.environment}-{bump.app}-{bump.model}-{version}"
    return f"lifecycle-{re.sub(r'[^A-Za-z0-9_-]+', '-', words)}-{digest}"


@dataclass(frozen=True)
class Proposal:
    """A change ready to be proposed.

    `commit` makes its commit on the target branch's tip; `pinned` tells what the bumped entry holds in a commit.
    """

    bump: Bump
    former: Pin
    message: str
    diff: str
    commit: Callable[[], str]
    pinned: Callable[[str], Pin]


def propose(clone: Clone, host: Host, base: str, proposal: Proposal) -> Delivery:
    """Open the request, or find the one that an earlier attempt has opened.

    A request that a person closed without merging is their answer: it is not opened again.
    """
    branch, pin = branch_of(proposal.bump), proposal.bump.pin
    found = host.find(branch, base)
    if found is not None and found.state != "closed" and proposal.bump.newest_code:
        # The code that was the newest when the request was opened, and that it was read with.
        pin = proposal.pinned(found.merge_commit or found.head)
    if found is None:
        if clone.remote_head(branch) is None:
            clone.push(proposal.commit(), onto="", branch=branch)
        subject, _, body = proposal.message.partition("\n")
        found = host.open(branch, base, subject, body.strip())
    if found.state == "closed":
        raise RequestRefused(
            f"{found.url} was closed without being merged, so {proposal.bump.model} stays as it is. Reopen and merge "
            "it, or start another run."
        )
    if found.state == "merged":
        detail = f"{found.url} was merged earlier."
        return Delivery("already_there", found.merge_commit, proposal.former, "", detail, pin, found.url)
    detail = f"Waiting for {found.url} to be merged."
    return Delivery("requested", found.head, proposal.former, proposal.diff, detail, pin, found.url)
