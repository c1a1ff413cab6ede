"""The DAGs' parameters: what Airflow's trigger form shows and checks before a run starts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

DNS_LABEL = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
# The target of a run, as operators take it: templates over these parameters.
TARGET: dict[str, Any] = {
    "environment": "{{ params.environment }}",
    "app": "{{ params.app }}",
    "model": "{{ params.served_model }}",
}
# The digits demo. Its network is a file of the trainer's image; docker/trainer tells how it was chosen.
DEMO_MODEL = "yolo-pico.yaml"
DEMO_IMAGE_SIZE = 128
DEMO_BATCH = 8
DEMO_EPOCHS = 6
DEMO_HYPERPARAMETERS = {
    "optimizer": "AdamW",
    "lr0": 0.004,
    "cos_lr": True,
    "cls": 1.0,
    # Ultralytics' warm-up of biases is for SGD; with its nominal batch of 64 the optimiser would skip 7 of 8 batches.
    "warmup_epochs": 1,
    "warmup_bias_lr": 0.0,
    "nbs": 8,
    "mosaic": 0,
    "fliplr": 0,
    "scale": 0.2,
    "cache": "ram",
}


def target() -> dict[str, Param]:
    """Which served model a run is about."""
    section = "Where it goes"
    return {
        "environment": Param(
            "sandbox",
            type="string",
            title="Environment",
            pattern=DNS_LABEL,
            maxLength=63,
            section=section,
            description="Folder under `argocd-apps/`, and the namespace that serves.",
            examples=["sandbox", "staging", "production"],
        ),
        "app": Param(
            "detector",
            type="string",
            title="App",
            pattern=DNS_LABEL,
            maxLength=53,
            section=section,
            description="Folder under the environment; its `values.yaml` holds the model.",
        ),
        "served_model": Param(
            "digits",
            type="string",
            title="Served model",
            pattern=MODEL_NAME,
            maxLength=63,
            section=section,
            description="Triton's model name: the `name` of an entry of `models` in that `values.yaml`.",
        ),
    }


def lifecycle() -> dict[str, Param]:
    """Parameters of `yolo_lifecycle`; the defaults are the digits demo."""
    return {**_data_and_training(), **_going_live(), **target()}


def _data_and_training() -> dict[str, Param]:
    section = "Data and training"
    return {
        "dataset": Param(
            "digits",
            type="string",
            title="Dataset",
            minLength=1,
            section=section,
            description="`digits` (made on the spot), or an Ultralytics-format `data.yaml` tree: directory, zip or "
            "tar, by path, `http(s)://` or `s3://`.",
            examples=[
                "digits",
                "s3://bucket/dataset.zip",
                "https://example.com/dataset.tar.gz",
                "/workspace/datasets/mine",
            ],
        ),
        "model": Param(
            DEMO_MODEL,
            type="string",
            title="Architecture or weights",
            minLength=1,
            section=section,
            description="A `.yaml` architecture is trained from scratch, `.pt` weights are fine-tuned: a name that "
            "Ultralytics has, a path in the workspace, `https://` or `s3://`. `models:/<name>/<version>` or "
            "`models:/<name>@<alias>` continues from a registered version. `yolo-pico.yaml` is a small one in the "
            "image.",
            examples=[
                "yolo-pico.yaml",
                "yolo11n.yaml",
                "yolo26n.yaml",
                "yolo11n.pt",
                "s3://bucket/best.pt",
                "models:/digits-detector@champion",
            ],
        ),
        "epochs": Param(
            DEMO_EPOCHS,
            type="integer",
            title="Epochs",
            minimum=1,
            maximum=10000,
            section=section,
            description="1 to 10000.",
        ),
        "image_size": Param(
            DEMO_IMAGE_SIZE,
            type="integer",
            title="Image size",
            minimum=32,
            maximum=4096,
            multipleOf=32,
            section=section,
            description="Side of the square that images are letterboxed to, in pixels: a multiple of 32.",
        ),
        "batch": Param(
            DEMO_BATCH,
            type="integer",
            title="Batch",
            minimum=1,
            maximum=4096,
            section=section,
            description="Images per training step.",
        ),
        "seed": Param(
            0,
            type="integer",
            title="Seed",
            minimum=0,
            maximum=2**31 - 1,
            section=section,
            description="Of the training and of splits that the dataset does not bring.",
        ),
        "hyperparameters": Param(
            DEMO_HYPERPARAMETERS,
            type="object",
            title="Hyperparameters",
            section=section,
            description="Further training arguments of Ultralytics, as an object.",
        ),
        "device": Param(
            "auto",
            type="string",
            title="Device",
            pattern="^(auto|cpu|[0-9]+(,[0-9]+)*)$",
            section=section,
            description="`auto`: all GPUs of the training pod (setting LIFECYCLE_TRAINER_GPUS), else its CPUs. Or "
            "`cpu`, or numbers of GPUs: `0`, `0,1,2,3`.",
            examples=["auto", "cpu", "0", "0,1,2,3"],
        ),
    }


def _going_live() -> dict[str, Param]:
    section = "Going live"
    return {
        "registered_model": Param(
            "digits-detector",
            type="string",
            title="Registered model",
            pattern=MODEL_NAME,
            maxLength=200,
            section=section,
            description="MLflow's registered model, and the name of its experiment.",
        ),
        "min_map50": Param(
            0.85,
            type="number",
            title="Least mAP50",
            minimum=0,
            maximum=1,
            section=section,
            description="A candidate below this on the held-out split is not promoted.",
        ),
        "max_regression": Param(
            0.01,
            type="number",
            title="Largest loss against the live version",
            minimum=0,
            maximum=1,
            section=section,
            description="A candidate whose mAP50 is lower than the live version's by more than this is not promoted.",
        ),
    }


def rollback() -> dict[str, Param]:
    """Parameters of `yolo_rollback`."""
    section = "What comes back"
    return {
        **target(),
        "version": Param(
            None,
            type=["null", "integer"],
            title="Version",
            minimum=1,
            section=section,
            description="Version of the registered model; empty: the one that was live before the present one.",
        ),
        "hold": Param(
            False,
            type="boolean",
            title="Hold",
            section=section,
            description="Set `hold: true`: no run of yolo_lifecycle promotes over it until a person removes it.",
        ),
        "reason": Param(
            "",
            type="string",
            title="Reason",
            maxLength=500,
            section=section,
            description="Goes into the commit and the log.",
        ),
    }
