"""Runs in the training environment: registers an ONNX file as the training does, in MLflow's ONNX flavour.

MLFLOW_TRACKING_URI=… .venv/trainer/bin/python tests/support/training/register_model.py NAME FILE
"""

import hashlib
import json
import sys
from pathlib import Path

import mlflow
import onnx


def main(name: str, file: Path) -> None:
    """Logs the model with its weights inside, registers it and prints version, sha256 and run id as JSON."""
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        logged = mlflow.onnx.log_model(onnx.load(file), name="model", save_as_external_data=False)
        folder = Path(mlflow.artifacts.download_artifacts(logged.model_uri))
    sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    tags = {"sha256": sha256, "image_size": "160", "class_names": json.dumps([f"kind {n}" for n in range(80)])}
    version = client.create_model_version(
        name, logged.model_uri, run_id=run.info.run_id, model_id=logged.model_id, tags=tags
    )
    print(json.dumps({"version": int(version.version), "sha256": sha256, "run_id": run.info.run_id}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
