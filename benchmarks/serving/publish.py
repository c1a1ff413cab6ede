"""Writes what a run found: the rows, the results' tables, and from the rows the README's table and both pictures.

`python -m benchmarks.serving.publish` writes the last two again from the stored rows, without measuring.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages import README, RESULTS, write_section
from benchmarks.serving import headline
from benchmarks.serving.headline import Row
from benchmarks.serving.plot import draw_all, draw_headline
from benchmarks.serving.report import Report

HERE = Path(__file__).resolve().parent
ROWS = HERE.parent / "serving.json"
PLOT, HEADLINE_PLOT = HERE / "serving.png", HERE / "headline.png"


def publish(report: Report) -> list[Path]:
    """Writes everything of a run; returns the files."""
    lines = ",\n".join("  " + json.dumps(row) for row in report.rows())
    ROWS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    write_section(RESULTS, "serving", report.text())
    return [ROWS, RESULTS, *publish_rows(report.rows())]


def stored() -> list[Row]:
    """The rows of the last run that was written."""
    rows: list[Row] = json.loads(ROWS.read_text(encoding="utf-8"))
    return rows


def publish_rows(rows: Sequence[Row]) -> list[Path]:
    """Writes what is made of the rows alone; returns the files."""
    write_section(README, "headline", headline.text(rows))
    draw_headline(headline.headline(rows), HEADLINE_PLOT)
    draw_all(rows, PLOT)
    return [README, HEADLINE_PLOT, PLOT]


if __name__ == "__main__":
    publish_rows(stored())
