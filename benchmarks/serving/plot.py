"""One picture: latency of one client, and throughput by number of clients."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.serving.cases import BARE, FIXED, HTTP, IN_PROCESS, OURS, SPREAD, USUAL, Case
from benchmarks.serving.measure import Result, percentile

COLOURS = {BARE: "#8a8f98", FIXED: "#c3c7cd", USUAL: "#c9772b", OURS: "#2b6cb0", SPREAD: "#7fb2e5"}


def draw(results: Mapping[Case, Result], target: Path) -> None:
    """Writes a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 4.6), width_ratios=(1, 1))
    single = [
        result
        for case, result in results.items()
        if case.clients == 1
        and case.batch == 1
        and case.protocol in (IN_PROCESS, HTTP)
        and case.subject.path != SPREAD  # as one instance: for one client the others have nothing to do
    ]
    single.sort(key=lambda result: percentile(result.latencies, 0.5), reverse=True)
    values = [percentile(result.latencies, 0.5) for result in single]
    bars = left.barh(
        [_title(result.case) for result in single],
        values,
        color=[COLOURS[result.case.subject.path] for result in single],
    )
    left.bar_label(bars, [f"{value:.0f}" for value in values], padding=3)
    left.set_xlabel("p50 of one client, ms")
    lines: dict[str, list[tuple[int, float]]] = {}
    colours: dict[str, str] = {}
    for case, result in results.items():
        if case.batch == 1 and case.protocol in (IN_PROCESS, HTTP):
            lines.setdefault(_title(case), []).append((case.clients, result.rps))
            colours[_title(case)] = COLOURS[case.subject.path]
    markers = iter("os^vDPX*<>hd" * 3)
    for title, points in lines.items():
        clients, rates = zip(*sorted(points), strict=True)
        right.plot(clients, rates, marker=next(markers), color=colours[title], label=title, linewidth=1, markersize=4)
    right.set_xscale("log", base=2)
    right.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    right.set_xlabel("clients")
    right.set_ylabel("requests/s")
    right.set_ylim(bottom=0)
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(target, dpi=90, metadata={"Software": None})
    pyplot.close(figure)


def _title(case: Case) -> str:
    return f"{case.subject}, {case.input}"
