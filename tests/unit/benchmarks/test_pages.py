"""What the benchmarks' pages show is what was measured: tables and pictures are those of the stored rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.draining.__main__ import table as draining_table
from benchmarks.handoff.__main__ import Row as HandoffRow
from benchmarks.handoff.__main__ import table as handoff_table
from benchmarks.pages import README, RESULTS, section, write_section
from benchmarks.serving import headline, publish
from benchmarks.serving.cases import BARE, OURS, USUAL
from benchmarks.serving.plot import COLOURS, draw_all, draw_headline

AGAIN = "write it again: python -m benchmarks.serving.publish"


def test_the_readmes_table_is_that_of_the_stored_rows() -> None:
    assert section(README, "headline") == headline.text(publish.stored()), AGAIN


@pytest.mark.parametrize("picture", [publish.HEADLINE_PLOT, publish.PLOT])
def test_the_pictures_are_those_of_the_stored_rows(picture: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.png"
    if picture == publish.PLOT:
        draw_all(publish.stored(), drawn)
    else:
        draw_headline(headline.headline(publish.stored()), drawn)
    here, due = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (picture, drawn))
    assert here.shape == due.shape, AGAIN
    # Other last digits may blur an edge by a pixel; a bar that is longer by one unit is thousands of pixels.
    assert int((np.abs(here - due).max(axis=2) > 32).sum()) < 500, AGAIN


def lengths(picture: Path, colour: str) -> list[int]:
    """Pixels of each bar of a colour, from left to right."""
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    columns = (pixels == wanted).all(axis=2).sum(axis=0) > 20
    edges = np.flatnonzero(np.diff(np.concatenate([[False], columns, [False]]).astype(int)))
    return [int(end - start) for start, end in edges.reshape(-1, 2)]


def test_the_headline_is_six_bars_as_long_as_their_figures(tmp_path: Path) -> None:
    figures = headline.headline(publish.stored())
    assert [each.subject.path for each in figures] == [BARE, USUAL, OURS]
    draw_headline(figures, tmp_path / "headline.png")
    bars = [lengths(tmp_path / "headline.png", COLOURS[each.subject.path]) for each in figures]
    assert [len(each) for each in bars] == [2, 2, 2]
    for side, values in enumerate([[each.p50_ms for each in figures], [each.rps for each in figures]]):
        scale = bars[0][side] / values[0]
        assert [each[side] for each in bars] == pytest.approx([value * scale for value in values], abs=4)


def test_the_headline_leaves_out_what_was_not_measured() -> None:
    rows = [row for row in publish.stored() if row["path"] != OURS]
    assert [each.subject.path for each in headline.headline(rows)] == [BARE, USUAL]
    assert "ours" not in headline.text(rows)


def test_every_stored_row_is_in_the_results_and_no_other() -> None:
    lines = [line.strip("| ").split(" | ") for line in section(RESULTS, "serving").splitlines() if line.startswith("|")]
    shown = {
        tuple(cells[:5]): (float(cells[5]), float(cells[7]))
        for cells in lines
        if len(cells) == 16 and cells[3].isdigit()
    }
    stored = {
        (
            f"{row['path']} {row['engine']} {row['precision']}",
            row["input"],
            row["protocol"],
            str(row["clients"]),
            str(row["batch"]),
        ): row
        for row in publish.stored()
    }
    assert shown.keys() == stored.keys()
    for key, row in stored.items():
        assert shown[key] == pytest.approx((row["p50_ms"], row["rps"]), abs=0.06), key


def test_the_handoffs_table_is_that_of_the_stored_rows() -> None:
    rows = [HandoffRow(**row) for row in json.loads(RESULTS.with_name("handoff.json").read_text())]
    assert section(RESULTS, "handoff") == handoff_table(rows)


def test_the_tables_of_kept_connections_are_those_of_the_stored_rows() -> None:
    stored = json.loads(RESULTS.with_name("draining.json").read_text())
    assert section(RESULTS, "draining") == draining_table(stored["about"], stored["rows"])


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- a: written by a run -->\nold\n<!-- end of a -->\n\nafter\n")
    write_section(page, "a", "new")
    assert section(page, "a") == "new"
    assert page.read_text() == "before\n\n<!-- a: written by a run -->\n\nnew\n\n<!-- end of a -->\n\nafter\n"
    with pytest.raises(ValueError, match=r"page\.md has no section .*: put both lines back"):
        write_section(page, "b", "new")
