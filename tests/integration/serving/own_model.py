"""One test's own model on the server that all tests of loading share: a load costs a process, not a server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from yolo_client import Detector

from tests.support.processes import until
from tests.support.triton import Triton, add_classifier, add_model

NUMBERS = itertools.count(1)


class OwnModel:
    """A model with a name and a cache that no other test has. Triton is in explicit mode: nothing loads by itself."""

    def __init__(self, triton: Triton, tracking_uri: str, cache: Path) -> None:
        self.triton, self.cache = triton, cache
        self.name = f"own_{next(NUMBERS):03}"
        self._always = {"mlflow_tracking_uri": tracking_uri, "cache_dir": str(cache)}
        self._loaded_at = 0

    def put(self, parameters: Mapping[str, str] | None, template: str = "yolo", **settings: str) -> None:
        """Writes the model's folder with a version's parameters and other settings, and loads nothing."""
        told = self._always | dict(parameters or {}) | settings
        if template == "classifier":
            add_classifier(self.triton.repository, self.name, told, [])
        else:
            add_model(self.triton.repository, self.name, told, template)

    def load(self, parameters: Mapping[str, str] | None, **settings: str) -> tuple[int, str]:
        """Loads its engine, then its name: HTTP status, and Triton's reason where it is not 200.

        The name alone would do for the first load; of a later one that fails Triton says nothing under the name, since
        the former engine stays.
        """
        self.put(parameters, **settings)
        self._loaded_at = len(self.triton.log)
        engines = [] if settings.get("template") == "classifier" else [f"{self.name}_engine"]
        for name in (*engines, self.name):
            status, answer = self.triton.control("load", name)
            if status != 200:
                break
        return status, str(answer.get("error", ""))

    @contextmanager
    def loading(self, parameters: Mapping[str, str], **settings: str) -> Iterator[Future[tuple[int, str]]]:
        """Loads it while the block lasts, which must bring about that this ends."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(self.load, parameters, **settings)

    def serve(self, parameters: Mapping[str, str] | None, **settings: str) -> None:
        """Loads it, or loads it again in a new process; fails the test where it is not ready."""
        self.unload()
        status, reason = self.load(parameters, **settings)
        assert status == 200, reason
        self.triton.wait_ready(self.name)

    def refused(self, parameters: Mapping[str, str] | None, **settings: str) -> str:
        """Loads it, which must fail: the one line of the log that says why, which Triton's answer has too."""
        status, answer = self.load(parameters, **settings)
        assert status == 400, f"{self.name} is ready"
        line = until("the log says why", self._why, lambda: self.said)
        reason = line.split(" is not ready: ", 1)[1].rstrip('"')
        assert reason in answer
        assert not self.triton.ready(self.name)
        return reason

    def _why(self) -> str | None:
        lines = [line for line in self.said.splitlines() if f'"{self.name} is not ready: ' in line]
        assert len(lines) <= 1, f"several lines say why: {lines}"
        return lines[0] if lines else None

    @property
    def said(self) -> str:
        """The log's lines of this model since it was loaded last."""
        lines = self.triton.log[self._loaded_at :].splitlines()
        return "\n".join(line for line in lines if self.name in line)

    def wait_said(self, text: str) -> None:
        """Waits until the log has a text; a model's lines take a moment to get there."""
        until(f"{text!r} is in the log", lambda: text in self.said, lambda: self.said)

    def detector(self) -> Detector:
        """A client of the model."""
        return Detector(self.triton.http, self.name)

    def unload(self) -> None:
        """Unloads it, and waits until it is gone."""
        for name in (self.name, f"{self.name}_engine"):
            self.triton.control("unload", name)
        until(f"{self.name} is gone", lambda: not self.triton.ready(self.name))
