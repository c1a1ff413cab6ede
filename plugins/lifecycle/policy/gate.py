"""Whether a candidate may go live: one decision on two numbers, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass


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


def provable(verification_images: float) -> Decision:
    """Whether the server can be checked with a candidate: it needs images on which it clearly finds something."""
    if verification_images > 0:
        return Decision(True, "")
    return Decision(False, "it finds nothing clear on the test images, so the rollout could not be verified")


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
