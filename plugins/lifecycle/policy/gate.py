"""Whether a candidate may go live: one decision on two numbers, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.registry.runs import required_metric

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Scores:
    """Mean average precision on the held-out split, 0 to 1."""

    map50: float
    map50_95: float


@dataclass(frozen=True)
class Decision:
    """The outcome and why, in one sentence."""

    passed: bool
    reason: str


# How the tag `live_comparison` begins where `evaluate` could not compare, as with a model of other classes.
NOT_COMPARED = "not compared"


def read_scores(run: Run, live_version: int | None) -> tuple[Scores, Scores | None]:
    """Read what `evaluate` measured: the candidate, and the live version if there is one that can be compared.

    Raises:
        RegistryError: a number is missing, so that nothing may be decided.
    """

    def scores(prefix: str) -> Scores:
        return Scores(*(required_metric(run, f"{prefix}/{name}", "evaluate") for name in ("mAP50", "mAP50-95")))

    comparable = not run.data.tags.get("live_comparison", "").startswith(NOT_COMPARED)
    return scores("test"), scores("live") if live_version is not None and comparable else None


def provable(run: Run) -> Decision:
    """Whether the server can be checked with this candidate: it needs images on which it clearly finds something."""
    if required_metric(run, "verification_images", "evaluate") > 0:
        return Decision(True, "")
    return Decision(
        False, "it finds nothing clear on the test images, so that nobody could check whether a server of it is right"
    )


def decide(candidate: Scores, live: Scores | None, *, min_map50: float, max_regression: float) -> Decision:
    """Pass a candidate that reaches `min_map50` and is at most `max_regression` below the live version's mAP50."""
    if candidate.map50 < min_map50:
        return Decision(
            False,
            f"mAP50 {candidate.map50:.4f} is {min_map50 - candidate.map50:.4f} below the least that is wanted, "
            f"{min_map50:.4f}",
        )
    if live is None:
        return Decision(
            True, f"mAP50 {candidate.map50:.4f} reaches {min_map50:.4f}, and no live version to compare with"
        )
    loss = live.map50 - candidate.map50
    if loss > max_regression:
        return Decision(
            False,
            f"mAP50 {candidate.map50:.4f} is {loss:.4f} below the live version's {live.map50:.4f}; at most "
            f"{max_regression:.4f} is allowed",
        )
    return Decision(True, f"mAP50 {candidate.map50:.4f} reaches {min_map50:.4f}; the live version has {live.map50:.4f}")


def comparison(candidate: Scores, live: Scores | None, live_version: int | None) -> str:
    """A Markdown table with candidate and live version side by side."""

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    rows = [
        ("mAP50", candidate.map50, live.map50 if live else None),
        ("mAP50-95", candidate.map50_95, live.map50_95 if live else None),
    ]
    head = (
        f"| held-out split | candidate | live (version {live_version}) |"
        if live
        else "| held-out split | candidate | live (none) |"
    )
    lines = [head, "|---|---|---|"]
    lines += [f"| {name} | {cell(new)} | {cell(old)} |" for name, new, old in rows]
    return "\n".join(lines)
