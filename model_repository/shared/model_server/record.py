"""What MLflow says about one version: what the cache keeps of it, so that a restart needs no MLflow."""

import ast
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class VersionRecord:
    """What MLflow says about a version.

    `sha256` is empty where neither its tags nor the settings give one. `precision_drop` is what the evaluation found a
    lower precision to cost against FP32 (a detector in mAP50-95, a classifier in top-1), by precision.
    """

    name: str
    version: int
    run_id: str
    sha256: str
    class_names: list[str]
    image_size: int | None
    precision_drop: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """The record as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "VersionRecord":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not a version record: {error}") from error


def record_of(name: str, number: int, run_id: str | None, tags: Mapping[str, str]) -> VersionRecord:
    """What a version's tags in MLflow say of it."""
    return VersionRecord(
        name=name,
        version=number,
        run_id=run_id or tags.get("run_id", ""),
        sha256=tags.get("sha256", "").strip().lower(),
        class_names=_names(tags.get("class_names", "")),
        image_size=int(tags["image_size"]) if tags.get("image_size", "").isdigit() else None,
        precision_drop=_figures(tags.get("precision_drop", "")),
    )


def _figures(text: str) -> dict[str, float]:
    """Numbers by name from a JSON object; none: an empty one."""
    try:
        return {str(key): float(value) for key, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _names(text: str) -> list[str]:
    """Class names from a JSON list, or from Ultralytics' own notation `{0: 'person', ...}`; none: an empty list.

    Where there are too many for a tag, it only counts them, and the export's own notes have them.
    """
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, list):
            return [str(name) for name in value]
        if isinstance(value, dict) and all(str(index).isdigit() for index in value):
            return [str(value[index]) for index in sorted(value, key=int)]
    return []
