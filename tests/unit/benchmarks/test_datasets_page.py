"""The page's table of datasets is that of the stored rows, and they reach the goals that the page names."""

import json

from benchmarks.datasets.__main__ import page
from benchmarks.pages import HERE, RESULTS, section

STORED = json.loads((HERE / "datasets.json").read_text(encoding="utf-8"))


def test_the_table_is_that_of_the_stored_rows() -> None:
    assert section(RESULTS, "datasets") == page(STORED), "write it again: make bench-datasets"


def test_the_stored_rows_reach_the_goals() -> None:
    rows = {row["subject"]: row for row in STORED["rows"]}
    assert all(row["images"] == 20_000 for row in rows.values())
    for name in ("prepare", "prepare again"):
        assert rows[name]["ratio"] <= 1.5
        assert rows[name]["bytes_an_image_beyond_the_scan"] <= 1000
    assert rows["open"]["ratio"] < 0.25, "without reading every byte"
