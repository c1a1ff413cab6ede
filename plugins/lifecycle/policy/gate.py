"""Whether a candidate may go live: one decision on two numbers, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Figures of the held-out split by their names, 0 to 1; the first one is decided on.
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Decision:
    """The outcome and why, in one sentence."""

    passed: bool
    reason: str


def provable(verification_images: float) -> Decision:
    """Whether the server can be checked with a candidate: it needs images of which it is sure."""
    if verification_images > 0:
        return Decision(True, "")
    return Decision(False, "it finds nothing clear on the test images, so the rollout could not be verified")


def decide(candidate: Scores, live: Scores | None, *, least: float, max_regression: float) -> Decision:
    """Pass a candidate whose first figure reaches `least` and is at most `max_regression` below the live version's."""
    name, figure = next(iter(candidate.items()))
    if figure < least:
        return Decision(
            False, f"{name} {figure:.4f} is {least - figure:.4f} below the least that is wanted, {least:.4f}"
        )
    if live is None:
        return Decision(True, f"{name} {figure:.4f} reaches {least:.4f}, and no live version to compare with")
    loss = live[name] - figure
    if loss > max_regression:
        return Decision(
            False,
            f"{name} {figure:.4f} is {loss:.4f} below the live version's {live[name]:.4f}; at most "
            f"{max_regression:.4f} is allowed",
        )
    return Decision(True, f"{name} {figure:.4f} reaches {least:.4f}; the live version has {live[name]:.4f}")


def comparison(candidate: Scores, live: Scores | None, live_version: int | None) -> str:
    """A Markdown table with candidate and live version side by side."""

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    rows = [(name, figure, live[name] if live else None) for name, figure in candidate.items()]
    head = (
        f"| held-out split | candidate | live (version {live_version}) |"
        if live
        else "| held-out split | candidate | live (none) |"
    )
    lines = [head, "|---|---|---|"]
    lines += [f"| {name} | {cell(new)} | {cell(old)} |" for name, new, old in rows]
    return "\n".join(lines)
