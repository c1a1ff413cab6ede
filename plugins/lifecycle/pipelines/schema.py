"""The JSON schema by which an editor completes and checks a pipeline's file: `python -m lifecycle.pipelines.schema`."""

from __future__ import annotations

import json
import sys

from lifecycle.pipelines.spec import Pipeline


def text() -> str:
    """`dags/pipelines/schema.json`, as it must be in git."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Pipeline.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
