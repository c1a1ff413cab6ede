"""`python -m lifecycle`, one command after another, in one process that cannot import Airflow.

A program: reads a JSON object a line, `{"argv", "variables"}`, and answers with `{"status", "out", "err"}`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any

sys.modules["airflow"] = None  # type: ignore[assignment]


def main() -> None:
    from lifecycle.cli.main import main as lifecycle
    from lifecycle.settings import settings

    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        os.environ.update(asked["variables"])
        settings.cache_clear()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status: object = lifecycle(asked["argv"])
            except SystemExit as error:
                status = error.code
        sys.stdout.write(json.dumps({"status": status, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
