"""Everything wrong with a dataset, gathered, so that its owner mends it in one go."""

from __future__ import annotations

from trainer.errors import InputError

NAMED = 10  # files named for each kind of problem; the rest are counted


class Problems:
    """Kinds of problem, each with the files that have it."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, where: str) -> None:
        """Note that ``where`` (a file, or a sentence) has a problem of this kind."""
        self._found.setdefault(kind, []).append(where)

    def __bool__(self) -> bool:
        return bool(self._found)

    def lines(self) -> list[str]:
        """One sentence a kind: how many, and the first ten by name."""
        return [_sentence(kind, sorted(set(places))) for kind, places in sorted(self._found.items())]

    def raise_if_any(self, dataset: str) -> None:
        """Raise one InputError that tells them all."""
        if self._found:
            raise InputError(
                f"The dataset {dataset} cannot be trained on. {' '.join(self.lines())} "
                "Mend these files (or leave them out) and trigger the run again; nothing was trained."
            )


def _sentence(kind: str, places: list[str]) -> str:
    named = ", ".join(places[:NAMED])
    more = f", and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{kind[0].upper()}{kind[1:]} ({len(places)}): {named}{more}."
