"""What MLflow says about one version: what the cache keeps of it, so that a restart needs no MLflow."""

import json
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
