"""python collect.py FOLDER FILE: what measured processes wrote into the folder, as one file of coverage.py's."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

from coverage import CoverageData


def main(folder: Path, target: Path) -> None:
    """Write the file; it has all lines of all processes."""
    lines: dict[str, set[int]] = defaultdict(set)
    for file in folder.glob("*.json"):
        for name, seen in json.loads(file.read_text()).items():
            lines[name].update(seen)
    data = CoverageData(basename=str(target))
    data.add_lines(lines)
    data.write()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
