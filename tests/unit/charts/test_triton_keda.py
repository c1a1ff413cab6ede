"""KEDA's ScaledObject, and the number of pods that Git names while an autoscaler decides."""

from __future__ import annotations

import helm_python
import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay

APPSET = CHART.parents[1] / "argocd-apps" / "applicationset.yaml"


@pytest.fixture
def scaled() -> Manifest:
    """Values with KEDA."""
    return yaml.safe_load((CHART / "ci" / "keda-values.yaml").read_text())


def one(objects: list[Manifest], kind: str) -> Manifest:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def test_nothing_of_keda_is_rendered_when_disabled(values: Manifest, render: Render) -> None:
    assert "ScaledObject" not in {each["kind"] for each in render(values)}


def test_keda_asks_for_what_the_recording_rules_write(scaled: Manifest, render: Render) -> None:
    objects = render(scaled)
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in objects}, "KEDA makes its own"
    spec = one(objects, "ScaledObject")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "detector-digits"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    found = {
        each["metadata"]["query"]: (each["metricType"], each["metadata"]["threshold"]) for each in spec["triggers"]
    }
    where = '{namespace="staging",job="detector",model="digits"}'
    assert found == {
        f"yolo:pending_requests:sum{where}": ("AverageValue", "8"),
        f"yolo:queue_seconds:rate5m{where}": ("Value", "0.1"),
    }
    groups = one(objects, "PrometheusRule")["spec"]["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert {query.partition("{")[0] for query in found} <= recorded


def test_switching_an_autoscaler_on_never_leaves_fewer_pods_than_it_may(scaled: Manifest, render: Render) -> None:
    """Git still names a number, and Argo CD overlooks it: by the annotation that the ApplicationSet asks for."""
    deployment = one(render(scaled), "Deployment")
    assert deployment["spec"]["replicas"] == 2
    (key, value), *_ = deployment["metadata"]["annotations"].items()
    template = yaml.safe_load(APPSET.read_text())["spec"]["template"]["spec"]
    wanted = f'select(.metadata.annotations["{key}"] == "{value}") | .spec.replicas'
    assert {"group": "apps", "kind": "Deployment", "jqPathExpressions": [wanted]} in template["ignoreDifferences"]
    assert "RespectIgnoreDifferences=true" in template["syncPolicy"]["syncOptions"]
    off = one(render(overlay(scaled, {"autoscaling": {"enabled": False}, "replicas": 3})), "Deployment")
    assert off["spec"]["replicas"] == 3 and "annotations" not in off["metadata"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"autoscaling": {"keda": {"prometheus": ""}}}, "autoscaling.keda.prometheus: KEDA asks Prometheus"),
        ({"monitoring": {"prometheusRule": {"enabled": False}}}, "autoscaling.keda.enabled: .* recording rules"),
    ],
)
def test_keda_without_figures_is_refused(scaled: Manifest, render: Render, change: Manifest, said: str) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        render(overlay(scaled, change))
