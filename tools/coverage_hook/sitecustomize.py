"""Starts coverage in interpreters that find this folder on PYTHONPATH; see tools/coverage.py."""

import coverage

coverage.process_startup()
