"""What the steps of one run leave for each other: a JSON file a step, in a folder that all of them see."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lifecycle.errors import BadParameter

State = Literal["success", "skipped", "failed"]


@dataclass(frozen=True)
class Result:
    """How a step ended.

    Attributes:
        state: `skipped`: the run ends well here, and what follows has nothing to do.
        value: what it returned.
        said: why it skipped or failed, in a sentence.
    """

    state: State
    value: dict[str, Any] = field(default_factory=dict)
    said: str = ""


class Results:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, step: str, result: Result) -> None:
        """Write a step's result; that of an earlier try is replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{step}.part"
        part.write_text(json.dumps(asdict(result), ensure_ascii=False), encoding="utf-8")
        part.replace(self.folder / f"{step}.json")

    def find(self, step: str) -> Result | None:
        """A step's result; None: it left none."""
        try:
            return Result(**json.loads((self.folder / f"{step}.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise BadParameter(f"{self.folder}/{step}.json is no result of the step {step}: {error}") from error

    def of(self, step: str) -> Any:
        """What a step returned.

        Raises:
            BadParameter: it has not succeeded in this run.
        """
        found = self.find(step)
        if found is None or found.state != "success":
            raise BadParameter(
                f"The step {step} has not succeeded in this run: {self.folder} has no such result. Run it first, with "
                "the same --results."
            )
        return found.value
