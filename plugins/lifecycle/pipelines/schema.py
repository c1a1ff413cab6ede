"""The JSON schema by which an editor completes and checks a pipeline's file: `python -m lifecycle.pipelines.schema`."""

from __future__ import annotations

import json
import sys
from typing import Any

from lifecycle import kinds
from lifecycle.pipelines.spec import of_task


def text() -> str:
    """`dags/pipelines/schema.json`, as it must be in git."""
    made = of_task(kinds.DEFAULT).model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "allOf": []}
    gate: dict[str, Any] = schema["properties"].pop("gate")
    schema["properties"]["gate"] = {"description": gate["description"]}
    for name in kinds.every():
        found = of_task(name).model_json_schema()
        schema["$defs"] |= found["$defs"]
        schema["allOf"].append({"if": _asks_for(name), "then": {"properties": {"gate": found["properties"]["gate"]}}})
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _asks_for(task: str) -> dict[str, Any]:
    """A file of this task; without the key it is the default's."""
    return {"properties": {"task": {"const": task}}, **({} if task == kinds.DEFAULT else {"required": ["task"]})}


if __name__ == "__main__":
    sys.stdout.write(text())
