"""Measure `prepare`, and opening what it made, beside Ultralytics' own scan of the same images.

    .venv/trainer/bin/python -m benchmarks.datasets [--images 20000] [--rounds 3] [--folder /dev/shm]

The subjects take turns, so that other work on the machine meets all of them. By default everything lies in memory, so
that no disk decides. A row is the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.datasets.images import make
from benchmarks.datasets.subjects import SUBJECTS
from benchmarks.pages import RESULTS, write_section

HERE = Path(__file__).parent
WORDS = {
    "ultralytics": "Ultralytics' scan",
    "prepare": "`prepare`: check, hash and copy",
    "prepare again": "`prepare` where the copy is there",
    "open": "opening the copy (`train`, `evaluate`)",
}

Row = dict[str, float | str]


def measure(images: int, rounds: int, place: Path) -> list[Row]:
    """A row for each subject."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        make(folder / "dataset", images)
        for number in range(rounds):
            shutil.rmtree(folder / "workspace", ignore_errors=True)
            for subject in SUBJECTS:
                found[subject].append(_run(subject, folder))
                print(f"round {number + 1}: {subject} {json.dumps(found[subject][-1])}", flush=True)
    return [_row(subject, turns, images, found["ultralytics"]) for subject, turns in found.items()]


def _run(subject: str, folder: Path) -> dict[str, float]:
    os.sync()  # what the last subject wrote is not to be written during this one
    places = [str(folder / "dataset"), str(folder / "workspace")]
    command = [sys.executable, "-m", "benchmarks.datasets.subjects", subject, *places]
    done = subprocess.run(command, cwd=HERE.parents[1], check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _row(subject: str, turns: list[dict[str, float]], images: int, scans: list[dict[str, float]]) -> Row:
    middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    scan = {key: statistics.median(turn[key] for turn in scans) for key in turns[0]}
    ratio = statistics.median(turn["seconds"] / other["seconds"] for turn, other in zip(turns, scans, strict=True))
    return {
        "subject": subject,
        "images": images,
        "seconds": round(middle["seconds"], 2),
        "ratio": round(ratio, 2),
        "cpu_seconds": round(middle["cpu_seconds"], 2),
        "megabytes": round(middle["megabytes"], 1),
        "bytes_an_image_beyond_the_scan": round((middle["megabytes"] - scan["megabytes"]) * 2**20 / images),
    }


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| what | images | seconds | of the scan | CPU seconds | MB | bytes an image beyond the scan |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        beyond = "" if row["subject"] == "ultralytics" else row["bytes_an_image_beyond_the_scan"]
        lines.append(
            f"| {WORDS[str(row['subject'])]} | {row['images']:,} | {row['seconds']} | {row['ratio']} × | "
            f"{row['cpu_seconds']} | {row['megabytes']} | {beyond} |"
        )
    return "\n".join(lines)


def page(content: dict[str, Any]) -> str:
    """What stands on the page of results, of the stored rows."""
    return f"{content['processor']}, median of {content['rounds']} rounds.\n\n{table(content['rows'])}"


def processor() -> str:
    """What /proc/cpuinfo calls it, and how many this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {len(os.sched_getaffinity(0))} processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where dataset and workspace are")
    parser.add_argument("--json", type=Path, default=HERE.parent / "datasets.json")
    parser.add_argument("--page", type=Path, default=RESULTS, help="its table is replaced")
    arguments = parser.parse_args()
    rows = measure(arguments.images, arguments.rounds, arguments.folder)
    content = {"processor": processor(), "rounds": arguments.rounds, "rows": rows}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    write_section(arguments.page, "datasets", page(content))
    print(page(content))


if __name__ == "__main__":
    main()
