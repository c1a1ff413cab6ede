"""Two pictures: six bars of the headline, and all that was measured of one image a request."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.cases import BARE, FIXED, HTTP, IN_PROCESS, OURS, PER_PROCESSOR, USUAL
from benchmarks.serving.headline import WHAT, Figures, Row

COLOURS = {BARE: "#8a8f98", FIXED: "#c3c7cd", USUAL: "#c9772b", OURS: "#2b6cb0", PER_PROCESSOR: "#7fb2e5"}


def draw_headline(figures: Sequence[Figures], target: Path) -> None:
    """Writes a PNG of two bars for each: p50 of one client, requests/s of eight."""
    pyplot = _pyplot()
    figure, (latency, throughput) = pyplot.subplots(1, 2, figsize=(12, 3.2), layout="constrained", sharey=True)
    upwards = list(reversed(figures))  # the first one is on top
    titles = [_wrapped(WHAT[each.subject.path], each.runs) for each in upwards]
    colours = [COLOURS[each.subject.path] for each in upwards]
    for axes, values, title in (
        (latency, [each.p50_ms for each in upwards], "1 client: p50 in ms (less is better)"),
        (throughput, [each.rps for each in upwards], "8 clients: requests/s (more is better)"),
    ):
        bars = axes.barh(titles, values, color=colours, height=0.62)
        axes.bar_label(bars, [f"{value:.1f}" for value in values], padding=4, fontsize=12)
        axes.set_title(title, fontsize=12, loc="left")
        axes.margins(x=0.12)
        axes.tick_params(axis="y", labelsize=11, length=0)
        axes.tick_params(axis="x", labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def draw_all(rows: Sequence[Row], target: Path) -> None:
    """Writes a PNG of the rows of benchmarks/serving.json: those in process and over HTTP, of one image a request."""
    pyplot = _pyplot()
    shown = [row for row in rows if row["batch"] == 1 and row["protocol"] in (IN_PROCESS, HTTP)]
    # For one client all other instances have nothing to do.
    one = sorted((row for row in _of(shown, 1) if row["path"] != PER_PROCESSOR), key=lambda row: -row["p50_ms"])
    eight = sorted(_of(shown, 8), key=lambda row: row["rps"])
    figure, (latency, throughput, clients) = pyplot.subplots(
        1, 3, figsize=(18, 1.5 + 0.22 * max(len(one), len(eight))), layout="constrained"
    )
    _bars(latency, one, "p50_ms", "p50 of one client, ms")
    _bars(throughput, eight, "rps", "requests/s of eight clients")
    for row, line in _lines(shown):
        counts, rates = zip(*line, strict=True)
        clients.plot(counts, rates, marker="o", label=_title(row), color=_colour(row), linestyle=_style(row))
    clients.set_xscale("log", base=2)
    clients.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    clients.set_xlabel("clients")
    clients.set_ylabel("requests/s")
    clients.set_ylim(bottom=0)
    clients.legend(fontsize=8, frameon=False)
    for axes in (latency, throughput, clients):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=80, metadata={"Software": None})
    pyplot.close(figure)


def _bars(axes: Any, rows: Sequence[Row], figure: str, title: str) -> None:
    values = [row[figure] for row in rows]
    bars = axes.barh([_title(row) for row in rows], values, color=[_colour(row) for row in rows])
    axes.bar_label(bars, [f"{value:.0f}" for value in values], padding=3, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(title)


def _lines(rows: Sequence[Row]) -> Iterator[tuple[Row, list[tuple[int, float]]]]:
    """What was run with more numbers of clients than the two of the bars: a row of it, and (clients, requests/s)."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(_title(row), []).append(row)
    for members in lines.values():
        if len(members) > 2:
            yield members[0], sorted((row["clients"], row["rps"]) for row in members)


def _of(rows: Sequence[Row], clients: int) -> list[Row]:
    return [row for row in rows if row["clients"] == clients]


def _title(row: Row) -> str:
    return f"{row['path']}: {row['engine']} {row['precision']}, {row['input']}"


def _colour(row: Row) -> str:
    return COLOURS[str(row["path"])]


def _style(row: Row) -> str:
    return "--" if "jpeg" in row["input"] else "-"


def _wrapped(what: str, runs: str) -> str:
    """A title of three lines: who, from what to what, and on which engine."""
    who, _, path = what.partition(": ")
    return f"{who}\n{path}\n{runs}"


def _pyplot() -> Any:
    """Matplotlib without a window; imported only to draw, for its import takes a second."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
