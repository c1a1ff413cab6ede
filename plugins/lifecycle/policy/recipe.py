"""Whether a training would be made of what the live version was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Params of a run that a training depends on, besides its data, its weights and its image.
SETTINGS = ("epochs", "image_size", "batch", "seed", "hyperparameters", "device")


@dataclass(frozen=True)
class Recipe:
    """What a version is made of: digests, or names where there is no digest.

    `dataset` is the data's digest, `weights` the digest of the weights that the training starts from, or the name of an
    architecture, `settings` a digest of the training's arguments, `image` the trainer's image.
    """

    dataset: str
    weights: str
    settings: str
    image: str

    @classmethod
    def of(cls, params: Mapping[str, Any], *, dataset_digest: str, weights_sha256: str, image: str) -> Recipe:
        """From a DAG run's params and what `prepare` found out."""
        chosen = json.dumps({key: params[key] for key in SETTINGS}, sort_keys=True)
        digest = hashlib.sha256(chosen.encode()).hexdigest()
        return cls(dataset_digest, weights_sha256 or str(params["model"]), digest, image)

    def tag(self) -> str:
        """As a tag of the MLflow run."""
        return json.dumps(asdict(self), sort_keys=True)

    def changes(self, tag: str | None) -> list[str]:
        """What is other than in a run with that tag; everything, where it has none."""
        former = json.loads(tag) if tag else {}
        return [key for key, value in asdict(self).items() if former.get(key) != value]
