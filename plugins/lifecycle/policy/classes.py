"""Whether a version knows other classes than the live one: clients read their names and numbers, and would break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.policy.gate import Decision

SHOWN = 10


@dataclass(frozen=True)
class ClassChange:
    """The classes that came and went, and whether any that stayed has another number."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    renumbered: tuple[str, ...]

    @property
    def words(self) -> str:
        """For a sentence, a commit and a page, on one line."""
        parts = (("came", self.came), ("went", self.went), ("have another number", self.renumbered))
        return "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)


def class_change(candidate: Sequence[str], live: Sequence[str]) -> ClassChange | None:
    """What changes from the live version's classes to the candidate's, in the order of their numbers; None: nothing."""
    if list(candidate) == list(live):
        return None
    numbers = {name: number for number, name in enumerate(live)}
    return ClassChange(
        came=tuple(name for name in candidate if name not in numbers),
        went=tuple(name for name in live if name not in set(candidate)),
        renumbered=tuple(name for number, name in enumerate(candidate) if name in numbers and numbers[name] != number),
    )


def decide_classes(change: ClassChange | None, live_version: int | None, *, allowed: bool) -> Decision:
    """Pass a version whose classes are those of the live one, or one whose change a person has allowed."""
    if change is None:
        return Decision(True, "")
    if allowed:
        return Decision(True, f"classes change, as the run allows: {change.words}")
    return Decision(
        False,
        f"its classes are not those of the live version {live_version} ({change.words}), and clients that know these "
        "would break; run again with allow_class_change if they are ready for it",
    )


def _listed(names: Sequence[str]) -> str:
    # A name may hold anything; a commit's trailer is one line.
    shown = [" ".join("".join(c if c.isprintable() else " " for c in name).split()) for name in names[:SHOWN]]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(shown)}{more}"
