"""The release step's part: the pin of an entry that KServe serves gets a folder that was never served before."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import PublishingFailed
from lifecycle.hooks.gitops import repository
from lifecycle.model import names
from lifecycle.publishing import folder
from lifecycle.publishing.store import Publication, Store
from lifecycle.settings import settings

if TYPE_CHECKING:
    from lifecycle.gitops import Bump

log = logging.getLogger(__name__)


def published(bump: Bump) -> Bump:
    """The bump with the folder of its version; as it is where no folder is served, or nothing is.

    A promotion from a stage keeps the folder that was proved there. Every way back gets a new folder with the same
    files: KServe's agent ignores a TrainedModel that returns to an address it had before.

    Raises:
        PublishingFailed: the folder could not be made or written.
    """
    if bump.pin.version is None or bump.kind == "discard" or not bump.registered_model or not settings().publish_url:
        return bump  # an entry that needs a folder then refuses the commit
    git = repository()
    there, _ = git.read(bump.environment, bump.app, bump.model)
    if not there.published:
        # The folder of a stage that KServe serves says nothing where another chart does.
        return replace(bump, pin=replace(bump.pin, uri=""))
    if bump.kind == "candidate":
        raise PublishingFailed(
            f"{bump.environment}/{bump.app} is served by KServe, whose chart has no candidates: release there with "
            "proof: after. Nothing was committed."
        )
    if bump.source is not None and bump.pin.uri:
        return bump
    store, made_for = Store(settings().publish_url), _made_for(bump)
    every = store.publications(bump.registered_model)
    mine = [each for each in every if made_for and each.made_for == made_for and each.complete]
    if mine and (mine[-1].version, mine[-1].sha256) == (bump.pin.version, bump.pin.sha256):
        return _with(bump, mine[-1])  # an earlier try of this task
    code = git.newest_code() if bump.newest_code else bump.pin.code_commit
    if not code:
        raise PublishingFailed(
            f"The branch has no {git.code_path}/ to publish {bump.model} with. Add it. Nothing was committed."
        )
    wanted = replace(bump, pin=replace(bump.pin, code_commit=code))
    claimed = store.claim(wanted.registered_model, wanted.model, wanted.pin, made_for)
    same = next((each for each in reversed(every) if each.serves(wanted.pin, wanted.model)), None)
    if same is not None:
        made = store.copy(claimed, same)
    else:
        with tempfile.TemporaryDirectory(prefix="publish-") as name:
            ready = folder.make(Path(name), wanted.registered_model, wanted.model, there.template, wanted.pin)
            made = store.upload(claimed, ready)
    log.info("Published %s", made.uri)
    return _with(wanted, made)


def _with(bump: Bump, made: Publication) -> Bump:
    pin = replace(bump.pin, code_commit=made.code_commit, uri=made.uri)
    return replace(bump, pin=pin, newest_code=False)


def _made_for(bump: Bump) -> str:
    """The one delivery that this is; empty: it is no DAG run's, and every call publishes."""
    run = bump.trailers.get(names.DAG_RUN_TRAILER, "")
    return f"{bump.kind} {bump.environment}/{bump.app}/{bump.model} {run}" if run else ""
