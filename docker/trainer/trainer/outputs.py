"""Small files with what a command found out, for whoever wires the commands without reading MLflow: a workflow.

They say again what is in the MLflow run; a file that a retry writes again says the same.
"""

from __future__ import annotations

import json

from trainer.settings import Settings
from trainer.tracking import Run

# Which tags of the run each command leaves in a file of its name; `evaluate` leaves its metrics in one, as JSON.
TAGS = {"prepare": ("dataset_digest",), "train": ("model_uri", "sha256"), "evaluate": ()}
FIGURES = "figures"
MEASURED = ("test/", "live/", "verification_images")


def write_outputs(settings: Settings) -> None:
    """Write them to the folder of `--outputs`; nothing where that was not given.

    Raises:
        TrackingError: MLflow does not answer, or lost what was written to it.
    """
    if settings.outputs is None:
        return
    run = Run(settings.tracking_uri, settings.run_id)
    found = {name: run.required_tag(name, settings.command) for name in TAGS[settings.command]}
    if settings.command == "evaluate":
        figures = {name: value for name, value in run.metrics().items() if name.startswith(MEASURED)}
        found[FIGURES] = json.dumps(figures, sort_keys=True)
    settings.outputs.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (settings.outputs / name).write_text(text, encoding="utf-8")
