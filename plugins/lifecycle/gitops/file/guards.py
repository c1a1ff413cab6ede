"""Whether a bump should still be made, asked again before every attempt.

Pure functions of what the file holds now; nothing here talks to a remote.
"""

from __future__ import annotations

from dataclasses import dataclass

from .models import Bump, ModelPin, Outcome, PinnedModel


@dataclass(frozen=True)
class Stop:
    """A reason to leave the file as it is, which is no failure."""

    outcome: Outcome
    detail: str


def why_stop(bump: Bump, there: PinnedModel, reverted: ModelPin | None) -> Stop | None:
    """The reason not to make this bump on this file, or None if it should be made.

    `reverted` is the pin that the commit `bump.reverts` wrote, for a restore.
    """
    if there.pin == bump.pin and bump.hold in (None, there.hold):
        return Stop("already_there", f"{bump.environment}/{bump.app} already has {_words(bump.pin)} of {bump.model}.")
    if bump.kind == "rollback":
        return None
    if there.hold:
        return Stop(
            "held",
            f"{bump.model} in {bump.environment}/{bump.app} is on hold at {_words(there.pin)}; only a person bumps it. "
            "Set hold to false in the values file to let runs through again.",
        )
    if bump.kind == "restore":
        if reverted is not None and there.pin != reverted:
            return Stop(
                "superseded",
                f"{bump.environment}/{bump.app} has {_words(there.pin)} of {bump.model} by now, not "
                f"{_words(reverted)}, which was to be taken back.",
            )
        return None
    if there.pin.version is not None and (bump.pin.version is None or there.pin.version > bump.pin.version):
        return Stop(
            "superseded",
            f"{bump.environment}/{bump.app} already has the newer {_words(there.pin)} of {bump.model}; "
            f"{_words(bump.pin)} stays unused.",
        )
    return None


def _words(pin: ModelPin) -> str:
    return "no version" if pin.version is None else f"version {pin.version}"
