#!/usr/bin/env python3
"""Register an ONNX file as a version of an MLflow model, with the tags that the rest of the platform reads.

    export MLFLOW_TRACKING_URI=http://127.0.0.1:5000
    python examples/register_onnx.py model.onnx --name digits-detector --image-size 160

Class names are read from the file (Ultralytics writes them into it) unless --class-names gives them. The same file is
registered once: run again, it prints the version that there is. The last lines are what a values file under
argocd-apps/ takes to serve it; the commit is yours to make.

Needs mlflow (or mlflow-skinny with pandas) and onnx; not the trainer.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

FILE = "model.onnx"
# As the trainer has it: MLflow keeps so many characters in a tag. Longer lists of names are an artifact of the run, and
# the server takes them from the ONNX file.
TAG_LIMIT = 5000
NAMES_ARTIFACT = "dataset/class_names.json"


class RegistrationError(Exception):
    """The file or the server is not as it must be; the message says what to do."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the ONNX: raw output, dynamic batch and size (see export_onnx.py)")
    parser.add_argument("--name", required=True, help="registered model; also the experiment of the run made for it")
    parser.add_argument("--image-size", type=int, required=True, help="side in pixels of its training")
    parser.add_argument("--class-names", type=json.loads, help='JSON list in the order of the numbers: ["cat", "dog"]')
    parser.add_argument("--dataset-digest", default="", help="of the dataset that it was trained on, if you know it")
    parser.add_argument(
        "--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI"), help="default: MLFLOW_TRACKING_URI"
    )
    chosen = parser.parse_args(argv)
    if not chosen.file.is_file():
        parser.error(f"there is no file {chosen.file}")
    if not chosen.tracking_uri:
        parser.error("give --tracking-uri, or set MLFLOW_TRACKING_URI")
    if chosen.image_size < 32 or chosen.image_size % 32:
        parser.error(f"--image-size is {chosen.image_size}; it must be a multiple of 32")
    return chosen


def class_names_of(model: Any) -> list[str]:
    """The names that Ultralytics' exporter wrote into an ONNX model, in the order of their numbers."""
    text = next((entry.value for entry in model.metadata_props if entry.key == "names"), None)
    if text is None:
        raise RegistrationError("The file does not name its classes. Give them with --class-names.")
    names = ast.literal_eval(text)
    return [str(names[number]) for number in range(len(names))]


def names_tag(class_names: list[str]) -> tuple[str, bool]:
    """The tag, and whether it holds the names: a JSON list, or how many there are and where, if that is too long."""
    text = json.dumps(class_names, ensure_ascii=False)
    if len(text) <= TAG_LIMIT:
        return text, True
    return json.dumps({"count": len(class_names), "artifact": NAMES_ARTIFACT}), False


def note_names(model: Any, class_names: list[str]) -> None:
    """Write the names into the file, as Ultralytics' exporter does, where a tag cannot hold them."""
    for entry in [entry for entry in model.metadata_props if entry.key == "names"]:
        model.metadata_props.remove(entry)
    model.metadata_props.add(key="names", value=str(dict(enumerate(class_names))))


def check(model: Any, class_names: list[str]) -> None:
    """Raise RegistrationError unless the model has the input and output that model_repository/yolo serves."""
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    if [value.name for value in inputs] != ["images"] or len(outputs) != 1:
        raise RegistrationError("The model must have one input, `images`, and one output. Export it as export_onnx.py.")
    sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim]
    if len(sides) != 4 or sides[1] != 3 or any(sides[axis] for axis in (0, 2, 3)):
        raise RegistrationError(
            f"The input has shape {sides} (0: dynamic); it must be [0, 3, 0, 0]: any batch and size. Export it again "
            "with dynamic=True."
        )
    output = [side.dim_value for side in outputs[0].type.tensor_type.shape.dim]
    if len(output) != 3 or (output[1] not in (0, 4 + len(class_names)) and output[2] != 6):
        raise RegistrationError(
            f"The output has shape {output} (0: dynamic); for {len(class_names)} classes it must be "
            f"[0, {4 + len(class_names)}, 0], or [0, 300, 6] from an end-to-end model. Are the class names right?"
        )


def signature_of(model: Any) -> Any:
    """MLflow's signature: names and shapes of input and output, -1 for what is dynamic."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(values: Any) -> Schema:
        shapes = [(value.name, [side.dim_value or -1 for side in value.type.tensor_type.shape.dim]) for value in values]
        return Schema([TensorSpec(np.dtype(np.float32), tuple(shape), name) for name, shape in shapes])

    return ModelSignature(inputs=schema(model.graph.input), outputs=schema(model.graph.output))


def find_version(client: Any, name: str, sha256: str) -> Any:
    """The version that has this checksum, or None."""
    return next((found for found in client.search_model_versions(f"name = '{name}'") if
                 found.tags.get("sha256") == sha256), None)  # fmt: skip


def register(chosen: argparse.Namespace) -> tuple[Any, bool]:
    """Log the model to a run of its own and register it; return the version, and whether it is new."""
    import mlflow
    import mlflow.onnx
    import onnx

    model = onnx.load(str(chosen.file))
    class_names = chosen.class_names or class_names_of(model)
    check(model, class_names)
    tag, listed = names_tag(class_names)
    if chosen.class_names and not listed:
        note_names(model, class_names)
    mlflow.set_tracking_uri(chosen.tracking_uri)
    client = mlflow.MlflowClient()
    sha256 = hashlib.sha256(model.SerializeToString()).hexdigest()
    if found := find_version(client, chosen.name, sha256):
        return found, False
    mlflow.set_experiment(chosen.name)
    with mlflow.start_run(run_name=f"by hand: {chosen.file.name}") as run:
        info = mlflow.onnx.log_model(
            model,
            name="model",
            signature=signature_of(model),
            save_as_external_data=False,
            pip_requirements=[f"onnx=={onnx.__version__}", "onnxruntime"],
        )
        mlflow.log_text(json.dumps(class_names, ensure_ascii=False), NAMES_ARTIFACT)
        logged = Path(mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri)) / FILE
        stored = hashlib.sha256(logged.read_bytes()).hexdigest()
        tags = {
            "sha256": stored,
            "image_size": str(chosen.image_size),
            "class_names": tag,
            **({"dataset_digest": chosen.dataset_digest} if chosen.dataset_digest else {}),
        }
        client.log_batch(run.info.run_id, tags=[mlflow.entities.RunTag(key, value) for key, value in tags.items()])
        client.set_tag(run.info.run_id, "model_uri", info.model_uri)
    if not any(model.name == chosen.name for model in client.search_registered_models()):
        client.create_registered_model(chosen.name)
    version = client.create_model_version(
        chosen.name, source=info.model_uri, run_id=run.info.run_id, tags={**tags, "run_id": run.info.run_id},
        model_id=info.model_id,
    )  # fmt: skip
    return version, True


def main(argv: list[str] | None = None) -> int:
    """Register and print what to write into a values file."""
    from google.protobuf.message import DecodeError
    from mlflow.exceptions import MlflowException

    chosen = arguments(argv)
    try:
        version, new = register(chosen)
    except RegistrationError as error:
        print(f"ERROR: {chosen.file}: {error}", file=sys.stderr)
        return 2
    except (MlflowException, DecodeError) as error:
        print(f"ERROR: {chosen.file} was not registered at {chosen.tracking_uri}: {error}", file=sys.stderr)
        return 1
    print(f"{'registered' if new else 'already registered:'} {chosen.name} version {version.version}")
    print(f'version: {version.version}\nsha256: "{version.tags["sha256"]}"\nrunId: "{version.run_id}"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
