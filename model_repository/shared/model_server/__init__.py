"""What model.py is made of: settings, the artifact from MLflow, the inference engine, the postprocessing."""

import os

# ONNX Runtime otherwise posts to an analytics service and writes to the home folder; it reads this when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
