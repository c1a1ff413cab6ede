"""Whether a bump should still be made, asked again before every attempt.

Pure functions of what the file holds now; nothing here talks to a remote.
"""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.gitops.models import Bump, PinnedModel
from lifecycle.model.pin import Pin
from lifecycle.model.results import Outcome


@dataclass(frozen=True)
class Stop:
    """A reason to leave the file as it is, which is no failure."""

    outcome: Outcome
    detail: str


def why_stop(bump: Bump, there: PinnedModel, reverted: Pin | None) -> Stop | None:
    """The reason not to make this bump on this file, or None if it should be made.

    `reverted` is the pin that the commit `bump.reverts` wrote, for a restore.
    """
    if there.pin == bump.pin and bump.hold in (None, there.hold):
        return Stop("already_there", f"{bump.environment}/{bump.app} already has {bump.pin.words} of {bump.model}.")
    if bump.kind == "rollback":
        return None
    if there.hold:
        return Stop(
            "held",
            f"{bump.model} in {bump.environment}/{bump.app} is on hold at {there.pin.words}; only a person bumps it. "
            "Set hold to false in the values file to let runs through again.",
        )
    if bump.kind == "restore":
        if reverted is not None and there.pin != reverted:
            return Stop(
                "superseded",
                f"{bump.environment}/{bump.app} has {there.pin.words} of {bump.model} by now, not "
                f"{reverted.words}, which was to be taken back.",
            )
        return None
    if there.pin.version is not None and (bump.pin.version is None or there.pin.version > bump.pin.version):
        return Stop(
            "superseded",
            f"{bump.environment}/{bump.app} already has the newer {there.pin.words} of {bump.model}; "
            f"{bump.pin.words} stays unused.",
        )
    return None
