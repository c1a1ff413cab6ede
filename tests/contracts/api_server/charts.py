"""The objects that this repository's charts render, as Helm renders them for the servers tested."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import helm_python
import yaml

from tests.contracts.api_server.client import Object
from tests.support.paths import ROOT


def cases() -> list[tuple[str, str]]:
    """(chart, file of values below charts/) of every way in which the charts are tested."""
    found = []
    for file in sorted((ROOT / "charts").glob("*/Chart.yaml")):
        examples = sorted((file.parent / "ci").glob("*.yaml"))
        values = examples or [ROOT / "charts" / "platform" / f"{file.parent.name}.yaml"]
        found += [(file.parent.name, str(each.relative_to(ROOT / "charts"))) for each in values]
    return found


def render(chart: str, values: str | Object, namespace: str) -> list[Object]:
    """Every object but the hooks, all of them in one namespace, and no workload with a pod."""
    given: Object = yaml.safe_load((ROOT / "charts" / values).read_text()) if isinstance(values, str) else values
    with helm_python.Chart.load(ROOT / "charts" / chart) as loaded:
        texts = loaded.render(given, name="app", namespace=namespace)
    files = (text for name, text in sorted(texts.items()) if name.endswith(".yaml"))
    found = [copy.deepcopy(each) for text in files for each in yaml.safe_load_all(text) if each]
    return [_moved(each, namespace) for each in found if "helm.sh/hook" not in each["metadata"].get("annotations", {})]


def _moved(manifest: Object, namespace: str) -> Object:
    manifest["metadata"]["namespace"] = namespace
    if "replicas" in manifest.get("spec", {}):
        manifest["spec"]["replicas"] = 0
    return manifest


def pod_templates(manifests: list[Object]) -> Iterator[tuple[str, Object]]:
    """Names and pod templates of workloads; a StatefulSet's own claims are empty volumes."""
    for each in manifests:
        spec: Any = each.get("spec") or {}
        claimed = [{"name": claim["metadata"]["name"]} for claim in spec.get("volumeClaimTemplates", [])]
        for template in (spec.get("template"), spec.get("jobTemplate", {}).get("spec", {}).get("template")):
            if template and "containers" in template.get("spec", {}):
                template["spec"]["volumes"] = [*template["spec"].get("volumes", []), *claimed]
                yield f"{each['kind']} {each['metadata']['name']}", template
