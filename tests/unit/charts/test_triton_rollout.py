"""Argo Rollouts in place of Deployments: the same pods, and steps and analysis beside them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.support import kubernetes_schemas
from tests.support.rendered import tool
from tests.unit.charts.conftest import CHART, Manifest, Render, overlay


@pytest.fixture
def stepwise() -> Manifest:
    """Values with steps and analysis."""
    return yaml.safe_load((CHART / "ci" / "rollout-values.yaml").read_text())


def without(values: Manifest) -> Manifest:
    """The same values as they are where Argo Rollouts is not installed."""
    return {**values, "rollout": {}}


def only(objects: list[Manifest], kind: str) -> Manifest:
    """The one object of that kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def test_nothing_of_argo_rollouts_is_rendered_when_no_steps_are_named(stepwise: Manifest, render: Render) -> None:
    objects = render(without(stepwise))
    assert not [each for each in objects if each["apiVersion"].startswith("argoproj.io/")]
    assert only(objects, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_rollout_is_the_deployment_but_for_its_strategy(stepwise: Manifest, render: Render) -> None:
    rollout = only(render(stepwise), "Rollout")
    deployment = only(render(without(stepwise)), "Deployment")
    assert rollout["apiVersion"] == "argoproj.io/v1alpha1"
    assert rollout["spec"].pop("progressDeadlineAbort") is True
    canary = rollout["spec"].pop("strategy")["canary"]
    deployment["spec"].pop("strategy")
    assert (rollout["metadata"], rollout["spec"]) == (deployment["metadata"], deployment["spec"])
    kubernetes_schemas.validate({**deployment, "spec": {**rollout["spec"]}}, "1.32")
    assert canary["steps"] == [
        {"setWeight": 20},
        {"pause": {"duration": "5m"}},
        {"setWeight": 50},
        {"pause": {"duration": "5m"}},
    ]
    assert (canary["maxSurge"], canary["maxUnavailable"]) == (1, 0), "no pod goes before a new one is ready"


def test_the_analysis_asks_what_the_recording_rules_write_within_the_alerts_limits(
    stepwise: Manifest, render: Render, tmp_path: Path
) -> None:
    limits = {"monitoring": {"prometheusRule": {"maxFailureRatio": 0.02, "maxP99Seconds": 0.5}}}
    objects = render(overlay(stepwise, limits))
    template = only(objects, "AnalysisTemplate")
    named = only(objects, "Rollout")["spec"]["strategy"]["canary"]["analysis"]
    assert named == {"startingStep": 1, "templates": [{"templateName": template["metadata"]["name"]}]}
    failures, slow = template["spec"]["metrics"]
    assert failures["successCondition"].endswith("result[0] <= 0.02")
    assert slow["successCondition"].endswith("result[0] <= 0.5")
    queries = [metric["provider"]["prometheus"]["query"] for metric in (failures, slow)]
    recorded = {
        rule["record"]
        for group in only(objects, "PrometheusRule")["spec"]["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert {"yolo:requests_failed:rate5m", "yolo:requests:rate5m"} <= recorded
    assert all('namespace="staging",job="detector",model' in query for query in queries)
    assert 'model="digits"}' in queries[0] and 'model=~"digits(_encoded)?"}' in queries[1]
    rules = {
        "groups": [{"name": "asked", "rules": [{"record": f"asked:{n}", "expr": q} for n, q in enumerate(queries)]}]
    }
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump(rules))
    done = subprocess.run([tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_prometheus_the_steps_alone_are_rendered(stepwise: Manifest, render: Render) -> None:
    stepwise["rollout"]["analysis"] = {}
    objects = render(stepwise)
    assert "analysis" not in only(objects, "Rollout")["spec"]["strategy"]["canary"]
    assert not [each for each in objects if each["kind"] == "AnalysisTemplate"]


def test_the_autoscaler_scales_the_rollout(stepwise: Manifest, render: Render) -> None:
    scaled = {
        "autoscaling": {"enabled": True, "minReplicas": 2, "metrics": [{"measure": "queueSeconds", "target": "1"}]}
    }
    objects = render(overlay(stepwise, scaled))
    target = only(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    rollout = only(objects, "Rollout")
    assert target == {
        "apiVersion": rollout["apiVersion"],
        "kind": "Rollout",
        "name": rollout["metadata"]["name"],
    }
    assert rollout["spec"]["replicas"] == 2 and rollout["metadata"]["annotations"], "as a Deployment that is scaled"


def test_a_candidate_stays_a_deployment(stepwise: Manifest, render: Render) -> None:
    stepwise["models"][0]["candidate"] = {"version": 4, "sha256": "6" * 64}
    objects = render(stepwise)
    assert only(objects, "Rollout")["metadata"]["name"] == "detector-digits"
    assert only(objects, "Deployment")["metadata"]["name"] == "detector-digits-candidate"


WRONG: dict[str, tuple[Manifest, str]] = {
    "one pod": ({"replicas": 1}, "rollout.steps: 1 pod cannot be divided"),
    "a step back": ({"rollout": {"steps": [50, 20]}}, "rollout.steps: 20 % comes after 50 %"),
    "all at once": ({"rollout": {"steps": [100]}}, "/rollout/steps/0"),
    "a pause without a unit": ({"rollout": {"pause": "5"}}, "/rollout/pause"),
    "analysis without steps": ({"rollout": {"steps": []}}, "rollout.analysis.prometheus: without rollout.steps"),
    "analysis without rules": (
        {"monitoring": {"prometheusRule": {"enabled": False}}},
        "rollout.analysis.prometheus: the analysis asks for what the recording rules write",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_steps_are_refused_by_name(case: str, stepwise: Manifest, render: Render) -> None:
    change, named = WRONG[case]
    values: dict[str, Any] = overlay(stepwise, change)
    with pytest.raises(helm_python.HelmError) as refused:
        render(values)
    assert named in str(refused.value)
