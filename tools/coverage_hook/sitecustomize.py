"""Measures interpreters that find this folder on PYTHONPATH; see tools/coverage.py."""

import os

if os.environ.get("COVERAGE_DATA"):
    import measure  # noqa: F401
