"""A real Prometheus on loopback, set up as the Prometheus operator would from the chart's objects."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import answers, free_port, running, tail, until
from tests.support.rendered import Manifest, tool

Series = dict[str, Any]


class Prometheus:
    """Scrapes and evaluates every second; targets and rules can change while it runs."""

    def __init__(self, folder: Path, rules: Manifest) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        self.watch([])
        scrape = {
            "job_name": "by-file",
            "file_sd_configs": [{"files": [str(folder / "targets.json")], "refresh_interval": "1s"}],
            # The path is part of a target here, so that one server can stand for several.
            "relabel_configs": [{"source_labels": ["path"], "target_label": "__metrics_path__"}],
            "metric_relabel_configs": [{"regex": "path", "action": "labeldrop"}],
        }
        config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yaml")],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))

    def watch(self, targets: list[tuple[str, dict[str, str]]]) -> None:
        """Scrape these (URL, labels) pairs from now on."""
        found = []
        for url, labels in targets:
            parts = urllib.parse.urlsplit(url)
            found.append({"targets": [parts.netloc], "labels": labels | {"path": parts.path}})
        new = self.folder / "targets.new"
        new.write_text(json.dumps(found))
        new.replace(self.folder / "targets.json")

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        """Starts the server and ends it."""
        command = [tool("prometheus"), f"--config.file={self.folder}/prometheus.yaml"]
        command += [
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        log = self.folder / "prometheus.log"
        with running(command, log) as process:

            def started() -> bool:
                assert process.poll() is None, f"Prometheus did not start:\n{tail(log)}"
                return answers(f"{self.url}/-/ready")

            until("Prometheus is ready", started, lambda: tail(log), 60)
            yield self

    def get(self, path: str, **arguments: str | float) -> Any:
        """The `data` of one call of Prometheus' API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"Prometheus refuses {arguments}: {error.read().decode()}") from error

    def now(self, expression: str) -> list[Series]:
        """Series with a number at this moment: {"metric": labels, "value": number}."""
        found = [
            {"metric": series["metric"], "value": float(series["value"][1])}
            for series in self.get("query", query=expression)["result"]
        ]
        return [series for series in found if not math.isnan(series["value"])]

    def lately(self, expression: str, seconds: int = 300) -> list[Series]:
        """Series with a number within the last seconds, as a graph asks: {"metric": labels, "values": numbers}."""
        end_at = time.time()
        result = self.get("query_range", query=expression, start=end_at - seconds, end=end_at, step=1)["result"]
        found = []
        for series in result:
            numbers = [float(value) for _, value in series["values"]]
            numbers = [number for number in numbers if not math.isnan(number)]
            if numbers:
                found.append({"metric": series["metric"], "values": numbers})
        return found

    def wait(self, expression: str, present: bool = True, seconds: float = 120) -> list[Series]:
        """Waits until a query gives something (or nothing any more); the last answer."""
        return self._wait(self.now, expression, present, seconds)

    def wait_lately(self, expression: str, seconds: float = 120) -> list[Series]:
        """Waits until a graph of the last minutes shows something."""
        return self._wait(self.lately, expression, True, seconds)

    def _wait(self, ask: Callable[[str], list[Series]], expression: str, present: bool, seconds: float) -> list[Series]:
        deadline = time.monotonic() + seconds
        while True:
            found = ask(expression)
            if bool(found) is present:
                return found
            assert time.monotonic() < deadline, f"after {seconds} s still {found or 'nothing'}: {expression}"
            time.sleep(0.3)
