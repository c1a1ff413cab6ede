"""Writes the table of values in README.md from values.schema.json (what each is for) and values.yaml (its default).

python charts/triton/readme.py           write it
python charts/triton/readme.py --check   exit 1 if it is not as it would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- values: written by readme.py -->", "<!-- /values -->"


def leaves(schema: dict[str, Any], default: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any], Any]]:
    """(key, schema, default) of each value that is no mapping of known keys; items of a list as ``key[].…``."""
    for key, below in schema.get("properties", {}).items():
        here = f"{path}{key}"
        value = default.get(key) if isinstance(default, dict) else None
        if "properties" in below:
            yield from leaves(below, value, f"{here}.")
        else:
            yield here, below, value
            yield from leaves(below.get("items", {}), None, f"{here}[].")


def kind(schema: dict[str, Any]) -> str:
    """The type in a word, or the values that there are."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(types)


def row(key: str, schema: dict[str, Any], default: Any) -> str:
    """One line of the table; an item of a list has no default, a required one says so."""
    text = schema["description"].replace("|", "\\|")
    shown = "" if "[]" in key else f"`{json.dumps(default, ensure_ascii=False)}`".replace("|", "\\|")
    return f"| `{key}` | {kind(schema)} | {shown} | {text} |"


def table() -> str:
    """Every value in the order of the schema, which is that of values.yaml."""
    schema = json.loads((HERE / "values.schema.json").read_text())
    schema["properties"].pop("global")
    defaults = yaml.safe_load((HERE / "values.yaml").read_text())
    rows = [row(*leaf) for leaf in leaves(schema, defaults)]
    return "\n".join(["| value | type | default | what it is |", "|---|---|---|---|", *rows])


def written(readme: str) -> str:
    """The README with its table made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"ERROR: README.md lacks the line {BEGIN} or {END}: put them back where the table belongs")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write, or check; 1 when the README is stale."""
    path = HERE / "README.md"
    now, due = path.read_text(), written(path.read_text())
    if "--check" in arguments:
        if now != due:
            sys.stderr.write("ERROR: charts/triton/README.md is stale: run `python charts/triton/readme.py`\n")
        return int(now != due)
    path.write_text(due)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
