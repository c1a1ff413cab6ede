"""The training image: prepare a dataset, train a YOLO detector on it, evaluate what will be served.

The only part of the project that imports Ultralytics (AGPL-3.0). Run as ``python -m trainer <command>``.
"""

import os

# ONNX Runtime otherwise posts to an analytics service and writes to the home folder; it reads this when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
