"""What the chart renders for Prometheus and Grafana, read as these two read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.support.paths import ROOT

Manifest = dict[str, Any]
CHART = ROOT / "charts" / "triton"
VALUES: Manifest = yaml.safe_load((CHART / "ci" / "monitoring-values.yaml").read_text())
# Nothing watches it, and the dashboard is the only ConfigMap then.
VALUES["proxy"] = {"enabled": False}
NAMESPACE, RELEASE = "staging", "detector"
PARTS = {"serviceMonitor": "ServiceMonitor", "prometheusRule": "PrometheusRule", "dashboard": "ConfigMap"}


def tool(name: str) -> str:
    """Path of a program of Debian's package prometheus; the test fails where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not on PATH: run `apt-get install --no-install-recommends prometheus`")
    return found


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool in a folder. It ends after seconds, so its garbage is hardly collected, which takes many of them."""
    command, environment = [tool("promtool"), *arguments], {**os.environ, "GOGC": "800"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def render(values: Manifest, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Manifest]:
    """Every object of the chart, rendered with the real Helm."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values, name=release, namespace=namespace)
    found = [yaml.safe_load_all(text) for name, text in sorted(texts.items()) if not name.endswith("NOTES.txt")]
    return [document for documents in found for document in documents if document]


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """The only object of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def rule_groups(manifests: list[Manifest]) -> Manifest:
    """The rule file that the Prometheus operator makes of a PrometheusRule."""
    return {"groups": one(manifests, "PrometheusRule")["spec"]["groups"]}


def rules(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Rules by name; ``kind`` is alert or record."""
    found = [rule for group in rule_groups(manifests)["groups"] for rule in group["rules"] if kind in rule]
    return {rule[kind]: rule for rule in found}


def dashboard_of(manifests: list[Manifest]) -> Manifest:
    """The dashboard that Grafana's sidecar reads from the ConfigMap."""
    ((name, text),) = one(manifests, "ConfigMap")["data"].items()
    assert name.endswith(".json"), "the sidecar takes .json files as dashboards"
    found: Manifest = json.loads(text)
    return found


@dataclass(frozen=True)
class Query:
    """One query of a dashboard: where it is, its PromQL with variables in it, whether it asks for one moment."""

    where: str
    expression: str
    instant: bool

    def __str__(self) -> str:
        return self.where


def panels_of(dashboard: Manifest) -> list[Manifest]:
    """Every panel, those within collapsed rows as well."""
    return [panel for outer in dashboard["panels"] for panel in [outer, *outer.get("panels", [])]]


def queries_of(dashboard: Manifest) -> list[Query]:
    """Every query of panels and annotations."""
    found = [
        Query(f"{panel['title']} [{target['refId']}]", target["expr"], target.get("instant", False))
        for panel in panels_of(dashboard)
        for target in panel.get("targets", [])
    ]
    notes = [note for note in dashboard["annotations"]["list"] if not note.get("builtIn")]
    return found + [Query(f"mark: {note['name']}", note["target"]["expr"], False) for note in notes]


def variables_of(dashboard: Manifest, **interval: str) -> dict[str, str]:
    """What Grafana puts in for each variable when the dashboard opens; an `All` with an own value is that value."""
    found = dict(interval)
    for variable in dashboard["templating"]["list"]:
        value = variable["current"].get("value")
        if value == ["$__all"]:
            value = variable["allValue"]
        if isinstance(value, str):
            found[variable["name"]] = value
    return found


VARIABLE = re.compile(r"\$([A-Za-z_]\w*)|\$\{(\w+)\}")


def substituted(expression: str, variables: dict[str, str]) -> str:
    """The query as Grafana sends it.

    Raises:
        KeyError: it uses a variable that the dashboard has not got.
    """
    return VARIABLE.sub(lambda match: variables[match[1] or match[2]], expression)


def metric_names(expression: str) -> Iterator[str]:
    """Names of the metrics in a query, also those in a pattern for `__name__`."""
    for name in re.findall(r'__name__=~"([^"]+)"', expression):
        yield from name.split("|")
    without_strings = re.sub(r'"[^"]*"', "", expression)
    yield from re.findall(r"\b(?:nv|yolo|airflow|argocd)_\w+|\byolo:[\w:]+|\bup\b|\bALERTS\b", without_strings)
