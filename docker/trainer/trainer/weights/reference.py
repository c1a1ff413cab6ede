"""What ``--model`` and the hyperparameter ``pretrained`` name, told from their text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trainer.errors import InputError
from trainer.transfer import REMOTE, shown

# MLflow allows neither / nor : in a model's name.
_REGISTERED = re.compile(r"models:/(?P<name>[^/:@]+)(/(?P<version>[1-9][0-9]*)|@(?P<alias>[^/@]+))")
_WEIGHTS = (
    "published weights ({weights}), the path of a .yaml or .pt file in the workspace, https://…/best.pt, "
    "s3://…/best.pt, or models:/<registered model>/<version> or models:/<registered model>@<alias>"
)


@dataclass(frozen=True)
class Forms:
    """What ``--model`` may be for a task.

    Attributes:
        architecture: what an architecture is, in words, with an example.
        weights: an example of published weights.
        networks: names that are architectures and no files.
    """

    architecture: str
    weights: str
    networks: Callable[[], Collection[str]] = tuple

    @property
    def text(self) -> str:
        """All forms, for messages."""
        return f"{self.architecture}, {_WEIGHTS.format(weights=self.weights)}"

    def is_architecture(self, model: str) -> bool:
        """Whether it is the name or path of a .yaml, or of a network."""
        file = Path(model).suffix in {".yaml", ".yml"} and urlsplit(model).scheme in {"", "file"}
        return file or model in self.networks()


class Kind(Enum):
    """Where weights are."""

    FILE = "file"
    PUBLISHED = "published"
    REMOTE = "remote"
    REGISTERED = "registered"


@dataclass(frozen=True)
class Reference:
    """Weights that are named but not yet there."""

    kind: Kind
    text: str  # the path, name or URI as it was given

    @property
    def shown(self) -> str:
        """Without what a URL may carry of a secret."""
        return shown(self.text)


def find_file(name: str, workspace: Path) -> Path | None:
    """A file by its path, which may be relative to the workspace, or None."""
    path = Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)
    return next((place for place in (workspace / path, path) if place.is_file()), None)


def starting_weights(model: str, hyperparameters: dict[str, Any], workspace: Path, forms: Forms) -> Reference | None:
    """The weights that a training starts from, or None where it starts from nothing.

    An architecture of a team's own takes what fits of the weights in ``pretrained``, as in Ultralytics.

    Raises:
        InputError: it is none of the forms that ``--model`` takes.
    """
    pretrained = hyperparameters.get("pretrained")
    if not forms.is_architecture(model):
        if isinstance(pretrained, str):
            raise InputError(
                f"--hyperparameters sets 'pretrained' to {shown(pretrained)!r} beside the weights {shown(model)!r}. "
                "Give one of them: both are weights to start from."
            )
        return parse(model, workspace, forms)
    return parse(pretrained, workspace, forms) if isinstance(pretrained, str) else None


def parse(text: str, workspace: Path, forms: Forms) -> Reference:
    """Tell the kinds apart.

    Raises:
        InputError: it is none of them.
    """
    if text.startswith("models:"):
        registered_parts(text)
        return Reference(Kind.REGISTERED, text)
    parts = urlsplit(text)
    if Path(parts.path).suffix == ".pt":
        if parts.scheme in REMOTE:
            return Reference(Kind.REMOTE, text)
        if parts.scheme in {"", "file"}:
            if find_file(text, workspace):
                return Reference(Kind.FILE, text)
            if "/" not in text:
                return Reference(Kind.PUBLISHED, text)
            raise InputError(
                f"The weights {text!r} do not exist: there is no such file in the pod, nor in the workspace "
                f"{workspace}. Put it there, or give {forms.text}."
            )
    raise InputError(f"The model {shown(text)!r} is neither an architecture nor weights. Give {forms.text}.")


def registered_parts(uri: str) -> tuple[str, str, str]:
    """Name, version and alias of a ``models:/…`` URI; one of the last two is empty.

    Raises:
        InputError: it is not of that form.
    """
    found = _REGISTERED.fullmatch(uri)
    if not found:
        raise InputError(
            f"The model {uri!r} is not a version in MLflow's registry. Give models:/<registered model>/<version>, "
            "with a number, or models:/<registered model>@<alias>."
        )
    return found["name"], found["version"] or "", found["alias"] or ""
