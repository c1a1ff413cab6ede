"""Measure both ways by length of history, size of the file, and number of writers; write the rows and the table.

    PYTHONPATH=plugins python -m benchmarks.handoff [--quick] [--json FILE] [--page FILE]

A row's `seconds_per_bump` is the wall time from the start of all writers to the end of the last, divided by the bumps
that landed; with one writer, the median of three bumps. `changed_lines` is how many lines of the file the first bump
changed. `lost` counts the wanted bumps that are not in the file at the end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from benchmarks.handoff import ways
from benchmarks.handoff.repository import FILE, build
from benchmarks.pages import RESULTS, write_section

HERE = Path(__file__).parent
NEW_VERSION = 1_000_000


@dataclass(frozen=True)
class Row:
    """One measurement."""

    path: str
    commits: int
    models: int
    writers: int
    seconds_per_bump: float
    changed_lines: int
    lost: int


def cases(quick: bool) -> list[tuple[int, int, int]]:
    """Commits, models, writers: one of them varied at a time."""
    history = (10, 1000) if quick else (10, 100, 1000, 10_000)
    size = (1, 100) if quick else (1, 10, 100, 2000)
    writers = (4,) if quick else (1, 5, 10, 20, 40)
    return (
        [(commits, 10, 1) for commits in history]
        + [(100, models, 1) for models in size]
        + [(100, 40, count) for count in writers]
    )


def measure(path: str, commits: int, models: int, writers: int) -> Row:
    """Build the repository and let the writers at it."""
    with tempfile.TemporaryDirectory() as folder:
        url = build(Path(folder) / "gitops.git", commits, models)
        repository = url.removeprefix("file://")
        first = _git(repository, "rev-parse", "main").strip()
        rounds = 3 if writers == 1 else 1
        seconds, lost = [], 0
        for turn in range(rounds):
            wanted = {f"m{number}": NEW_VERSION + turn for number in range(writers)}
            elapsed = _race(path, url, wanted)
            entries = yaml.load(_git(repository, "show", f"main:{FILE}"), Loader=yaml.CSafeLoader)["models"]
            there = {entry["name"]: entry["version"] for entry in entries}
            missing = sum(there[model] != version for model, version in wanted.items())
            lost += missing
            seconds.append(elapsed / max(1, len(wanted) - missing))
        # Of the first bump: a way that reformats the file does so once, and later ones find it reformatted.
        bump = _git(repository, "rev-list", "--reverse", f"{first}..main").split()[0]
        added, removed, _ = _git(repository, "show", "--numstat", "--format=", bump).split(maxsplit=2)
        changed = max(int(added), int(removed))
        return Row(path, commits, models, writers, round(statistics.median(seconds), 3), changed, lost)


def _race(path: str, url: str, wanted: dict[str, int]) -> float:
    """Seconds until every writer, a process each, has ended."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(wanted) + 1)

    def write(model: str, version: int) -> None:
        start.wait()
        getattr(ways, path)(url, model, version, time_limit=240.0)

    writers = [context.Process(target=write, args=item) for item in wanted.items()]
    for writer in writers:
        writer.start()
    start.wait()
    started = time.monotonic()
    for writer in writers:
        writer.join()
    return time.monotonic() - started


def _git(repository: str, *arguments: str) -> str:
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True, text=True).stdout


def table(rows: list[Row]) -> str:
    """The rows as Markdown, both ways side by side."""
    lines = [
        "| commits | models | writers | ours: s/bump | lines | lost | plain: s/bump | lines | lost |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    pairs: dict[tuple[int, int, int], dict[str, Row]] = {}
    for row in rows:
        pairs.setdefault((row.commits, row.models, row.writers), {})[row.path] = row
    for (commits, models, writers), by_path in pairs.items():
        cells = [
            f"{row.seconds_per_bump:.2f} | {row.changed_lines:,} | {row.lost} of {writers * (3 if writers == 1 else 1)}"
            for row in (by_path["ours"], by_path["plain"])
        ]
        lines.append(f"| {commits:,} | {models:,} | {writers} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, half a minute")
    parser.add_argument("--json", type=Path, default=HERE.parent / "handoff.json")
    parser.add_argument("--page", type=Path, default=RESULTS, help="its table is replaced")
    arguments = parser.parse_args()
    identity = {f"GIT_{role}_{what}": "benchmark" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    os.environ.update(identity | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"})
    rows = []
    for commits, models, writers in dict.fromkeys(cases(arguments.quick)):
        for path in ("ours", "plain"):
            row = measure(path, commits, models, writers)
            rows.append(row)
            print(json.dumps(asdict(row)), flush=True)
    arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    write_section(arguments.page, "handoff", table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
