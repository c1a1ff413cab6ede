"""Whether a bump should still be made, asked again before every attempt.

Pure functions of what the file holds now; nothing here talks to a remote.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lifecycle.gitops.models import Bump, PinnedModel
from lifecycle.model.pin import Pin
from lifecycle.model.results import Outcome


@dataclass(frozen=True)
class Stop:
    """A reason to leave the file as it is, which is no failure."""

    outcome: Outcome
    detail: str


def why_stop(bump: Bump, there: PinnedModel, reverted: Pin | None, source: PinnedModel | None = None) -> Stop | None:
    """The reason not to make this bump on this file, or None if it should be made.

    `reverted` is the pin that the commit `bump.reverts` wrote, for a restore; `source` is what the entry `bump.source`
    holds now.
    """
    if bump.kind == "candidate":
        return _why_no_candidate(bump, there)
    if bump.kind == "discard":
        return _why_no_discard(bump, there)
    if there.pin == bump.pin and there.candidate != bump.pin and bump.hold in (None, there.hold):
        return Stop(
            "already_there", f"{bump.environment}/{bump.app} already has {bump.pin.words_with_code} of {bump.model}."
        )
    if bump.kind == "rollback":
        return None
    if there.hold:
        return _held(bump, there)
    if bump.kind == "restore":
        if reverted is not None and there.pin != reverted:
            return Stop(
                "superseded",
                f"{bump.environment}/{bump.app} has {there.pin.told_from(reverted)} of {bump.model} by now, not "
                f"{reverted.told_from(there.pin)}, which was to be taken back.",
            )
        return None
    if there.pin.version is not None and (bump.pin.version is None or there.pin.version > bump.pin.version):
        return Stop(
            "superseded",
            f"{bump.environment}/{bump.app} already has the newer {there.pin.words} of {bump.model}; "
            f"{bump.pin.words} stays unused.",
        )
    if bump.code_beside is not None and there.pin.code_commit != bump.code_beside:
        return Stop(
            "superseded",
            f"{bump.environment}/{bump.app} got other code ({there.pin.words_with_code}) while "
            f"{bump.pin.words_with_code} was under proof, which would take that back; it stays unused.",
        )
    return _why_not_from(bump, source)


def _why_not_from(bump: Bump, source: PinnedModel | None) -> Stop | None:
    """Only what a stage holds, and was proved there, moves to the next."""
    if bump.source is None or source is None:
        return None
    # A stage that KServe serves pins a folder besides, which is not the other's.
    if replace(source.pin, uri="") != replace(bump.pin, uri=""):
        return Stop(
            "superseded",
            f"{bump.source.entry} has {source.pin.told_from(bump.pin)} by now, not the "
            f"{bump.pin.told_from(source.pin)} that was to be promoted.",
        )
    if source.hold:
        return Stop(
            "held",
            f"{bump.source.entry} is on hold at {source.pin.words}, so it is not promoted. Set hold to false in its "
            "values file to let it through.",
        )
    return None


def candidate_after(bump: Bump, there: PinnedModel) -> Pin | None:
    """The candidate that the entry has once the bump is made: a version that goes live is none any more."""
    if bump.kind == "candidate":
        return bump.pin
    return None if there.candidate == bump.pin else there.candidate


def pin_after(bump: Bump, there: PinnedModel) -> Pin:
    """The live pin once the bump is made: a candidate comes and goes without touching it."""
    return there.pin if bump.kind in ("candidate", "discard") else bump.pin


def _why_no_candidate(bump: Bump, there: PinnedModel) -> Stop | None:
    where = f"{bump.environment}/{bump.app}"
    if there.candidate == bump.pin:
        return Stop("already_there", f"{where} already has {bump.pin.words} as the candidate of {bump.model}.")
    if there.hold:
        return _held(bump, there)
    if there.pin == bump.pin:
        return Stop("superseded", f"{bump.pin.words} of {bump.model} is live in {where}: nothing is left to prove.")
    for other, as_what in ((there.pin, "live"), (there.candidate, "under proof as another run's candidate")):
        if other is not None and other.version is not None and other.number > bump.pin.number:
            return Stop(
                "superseded",
                f"In {where}, the newer {other.words} of {bump.model} is {as_what}; {bump.pin.words} stays unused.",
            )
    return None


def _why_no_discard(bump: Bump, there: PinnedModel) -> Stop | None:
    where = f"{bump.environment}/{bump.app}"
    if there.candidate is None:
        return Stop("already_there", f"{where} has no candidate of {bump.model}.")
    if there.candidate != bump.pin:
        return Stop(
            "superseded",
            f"{where} has {there.candidate.words} as the candidate of {bump.model} by now, not {bump.pin.words}.",
        )
    return None


def _held(bump: Bump, there: PinnedModel) -> Stop:
    return Stop(
        "held",
        f"{bump.model} in {bump.environment}/{bump.app} is on hold at {there.pin.words}; only a person bumps it. "
        "Set hold to false in the values file to let runs through again.",
    )
