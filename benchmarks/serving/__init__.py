"""What serving costs: bare engines in process, the usual model.py, and ours, in one run on one processor.

.venv/dev/bin/python -m benchmarks.serving [--quick]
"""
