"""Ultralytics' trainer of classifiers, as it is used here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ultralytics.data.dataset import ClassificationDataset
from ultralytics.models.yolo.classify import ClassificationTrainer

from trainer.tasks.classify.labelling import folder_of
from trainer.training.lifecycle import Lifecycle


class ClassifyTrainer(Lifecycle, ClassificationTrainer):
    """Trains a classifier on the workspace's copy, whose folders are numbers, and whose names are in its data.yaml."""

    def get_dataset(self) -> dict[str, Any]:
        """Ultralytics would take the folders' names for those of the classes."""
        data: dict[str, Any] = super().get_dataset()
        names = yaml.safe_load((Path(self.args.data) / "data.yaml").read_text(encoding="utf-8"))["names"]
        return data | {"names": names, "nc": len(names)}

    def build_dataset(self, img_path: str, mode: str = "train", batch: Any = None) -> ClassificationDataset:
        """Ultralytics would look for folders that are named as the classes are."""
        folders = {number: folder_of(number) for number in self.data["names"]}
        train = mode == "train"
        arguments: Any = self.args
        return ClassificationDataset(
            img_path, arguments, augment=train, prefix="train" if train else self.args.split, names=folders
        )
