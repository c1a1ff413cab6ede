"""The values of charts/triton: every key is described, and wrong ones are refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay


def schema() -> Manifest:
    """values.schema.json."""
    return json.loads((CHART / "values.schema.json").read_text())


def missing(values: Any, of: Manifest, path: str = "") -> Iterator[str]:
    """Keys of ``values`` that a schema does not know."""
    if not isinstance(values, dict) or "properties" not in of:
        return
    for key, value in values.items():
        here = f"{path}.{key}".lstrip(".")
        if key not in of["properties"]:
            yield here
        else:
            yield from missing(value, of["properties"][key], here)


def undescribed(of: Manifest, path: str = "") -> Iterator[str]:
    """Properties without a description, and objects that take any key."""
    if "properties" in of:
        if of.get("additionalProperties") is not False:
            yield f"{path}: takes any key"
        for key, value in of["properties"].items():
            if len(value.get("description", "")) < 8:
                yield f"{path}.{key}: no description"
            yield from undescribed(value, f"{path}.{key}")
    if "items" in of:
        yield from undescribed(of["items"], f"{path}[]")


def uncommented(text: str) -> Iterator[str]:
    """Top-level keys of values.yaml that have no comment above them or on their first own key."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line or line[0] in "# -":
            continue
        beside = [lines[number - 1], *lines[number + 1 : number + 2]]
        if not any(other.lstrip().startswith("#") for other in beside):
            yield line


def test_every_value_has_a_schema_entry() -> None:
    assert list(missing(yaml.safe_load((CHART / "values.yaml").read_text()), schema())) == []


def test_a_value_without_a_schema_entry_would_be_found() -> None:
    assert list(missing({"image": {"tga": "x"}, "new": 1}, schema())) == ["image.tga", "new"]


def test_every_schema_entry_is_described_and_closed() -> None:
    assert list(undescribed(schema())) == []


def test_the_defaults_alone_are_valid(render: Render) -> None:
    assert [found["kind"] for found in render({})] == ["ServiceAccount"]


def test_helm_lint_finds_nothing() -> None:
    for path in sorted((CHART / "ci").glob("*-values.yaml")):
        report = helm_python.lint(CHART, yaml.safe_load(path.read_text()), strict=True)
        assert not report["errors"], report
        assert [m for m in report["messages"] if m["severity"] >= 2] == []


WRONG: dict[str, tuple[Manifest, tuple[str, ...]]] = {
    "a typo": ({"replica": 2}, ("replica",)),
    "a typo further down": ({"server": {"bindAdress": "0.0.0.0"}}, ("bindAdress",)),
    "a word for a number": ({"replicas": "two"}, ("replicas",)),
    "less than no replicas": ({"replicas": -1}, ("replicas",)),
    "an unknown service type": ({"service": {"type": "Ingress"}}, ("/service/type",)),
    "poll mode": ({"server": {"modelControlMode": "poll"}}, ("modelControlMode",)),
    "a host name to bind to": ({"server": {"bindAddress": "localhost"}}, ("bindAddress",)),
    "a quantity that is none": ({"cache": {"sizeLimit": "2 gigabytes"}}, ("/cache/sizeLimit",)),
    "an image without a tag": ({"modelRepository": {"gitSync": {"image": "git-sync"}}}, ("gitSync/image",)),
    "git-sync without a repository": (
        {"modelRepository": {"gitSync": {"repo": ""}}},
        ("modelRepository.gitSync.repo",),
    ),
    "a stop that is cut off": (
        {"terminationGracePeriodSeconds": 35},
        ("terminationGracePeriodSeconds", "server.exitTimeoutSeconds = 35"),
    ),
    "a preferred batch that the model does not take": (
        {"server": {"maxBatchSize": 4, "preferredBatchSize": 8}},
        ("server.preferredBatchSize: 8", "server.maxBatchSize = 4"),
    ),
    "a deadline within the startup probe": (
        {"progressDeadlineSeconds": 600},
        ("progressDeadlineSeconds", "probes.startup"),
    ),
    "a strategy that replaces no pod": (
        {"strategy": {"maxSurge": "0%", "maxUnavailable": 0}},
        ("strategy.maxSurge", "no pod could ever be replaced"),
    ),
    "an unknown strategy": ({"strategy": {"type": "BlueGreen"}}, ("/strategy/type",)),
    "steps for pods that all end at once": (
        {"strategy": {"type": "Recreate"}, "rollout": {"steps": [50]}, "replicas": 2},
        ("strategy.type", "leave the steps empty"),
    ),
    "an autoscaler without metrics": (
        {"autoscaling": {"enabled": True}},
        ("autoscaling.metrics", "at least one measure"),
    ),
    "an autoscaler on an unknown measure": (
        {"autoscaling": {"enabled": True, "metrics": [{"measure": "gpu", "target": "80"}]}},
        ("/autoscaling/metrics/0/measure",),
    ),
    "an autoscaler with more at least than at most": (
        {
            "autoscaling": {
                "enabled": True,
                "minReplicas": 5,
                "metrics": [{"measure": "pendingRequests", "target": "8"}],
            }
        },
        ("autoscaling.minReplicas", "autoscaling.maxReplicas = 4"),
    ),
    "two disruption budgets": (
        {"podDisruptionBudget": {"enabled": True, "minAvailable": 1, "maxUnavailable": 1}, "replicas": 3},
        ("podDisruptionBudget.minAvailable", "podDisruptionBudget.maxUnavailable"),
    ),
    "a disruption budget that stops every drain": (
        {"podDisruptionBudget": {"enabled": True, "minAvailable": 2}, "replicas": 2},
        ("podDisruptionBudget.minAvailable", "2 of 2 pods"),
    ),
    "a disruption budget of all": (
        {"podDisruptionBudget": {"enabled": True, "minAvailable": "100%"}},
        ("/podDisruptionBudget/minAvailable",),
    ),
    "egress to nowhere": (
        {"networkPolicy": {"enabled": True, "restrictEgress": True}},
        ("networkPolicy.egress", "restrictEgress"),
    ),
    "a node port without node": (
        {"service": {"nodePorts": {"http": 30800}}},
        ("service.nodePorts.http", "ClusterIP"),
    ),
    "a traffic policy without traffic": (
        {"service": {"externalTrafficPolicy": "Local"}},
        ("service.externalTrafficPolicy", "ClusterIP"),
    ),
    "a load balancer's class without one": (
        {"service": {"type": "NodePort", "loadBalancerClass": "example.com/lb"}},
        ("service.loadBalancerClass", "NodePort"),
    ),
    "an unknown source of templates": (
        {"modelRepository": {"source": "svn"}},
        ("/modelRepository/source",),
    ),
    "a bucket without name": (
        {"modelRepository": {"source": "s3"}},
        ("modelRepository.s3.bucket", "model digits"),
    ),
    "half a key": (
        {"modelRepository": {"source": "s3", "s3": {"bucket": "models", "accessKeyId": "id"}}},
        ("modelRepository.s3.secretAccessKey",),
    ),
    "keys in two ways": (
        {
            "modelRepository": {
                "source": "s3",
                "s3": {"bucket": "models", "existingSecret": "s", "accessKeyId": "id", "secretAccessKey": "key"},
            }
        },
        ("modelRepository.s3.existingSecret", "modelRepository.s3.accessKeyId"),
    ),
    "a claim without name": (
        {"modelRepository": {"source": "persistentVolumeClaim"}},
        ("modelRepository.persistentVolumeClaim.claimName",),
    ),
    "a cache that only one pod may mount": (
        {"cache": {"persistentVolumeClaim": {"accessModes": ["ReadWriteOncePod"]}}},
        ("/cache/persistentVolumeClaim/accessModes",),
    ),
    "a GPU without vendor": ({"gpu": {"resourceName": "gpu"}}, ("/gpu/resourceName",)),
    "a GPU named twice": (
        {"gpu": {"resourceName": "nvidia.com/gpu"}, "resources": {"limits": {"nvidia.com/gpu": 1}}},
        ("gpu.resourceName", "resources.limits"),
    ),
    "a volume with the name of the chart's own": (
        {"extraVolumes": [{"name": "cache", "emptyDir": {}}]},
        ("extraVolumes[0].name", "cache"),
    ),
    "a mount without volume": (
        {"extraVolumeMounts": [{"name": "certificates", "mountPath": "/etc/certificates"}]},
        ("extraVolumeMounts[0].name", "certificates"),
    ),
    "an image size that no YOLO takes": ({"test": {"imageSize": 100}}, ("/test/imageSize",)),
    "an argument that is none": ({"server": {"extraArgs": ["log-info"]}}, ("extraArgs",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused_by_name(case: str, values: Manifest, render: Render) -> None:
    change, named = WRONG[case]
    with pytest.raises(helm_python.HelmError) as refused:
        render(overlay(values, change))
    for name in named:
        assert name in str(refused.value)


WRONG_MODELS: dict[str, tuple[Callable[[Manifest], None], str]] = {
    "version zero": (lambda model: model.update(version=0), "version"),
    "a quoted version": (lambda model: model.update(version="3"), "version"),
    "a short checksum": (lambda model: model.update(sha256="abc"), "sha256"),
    "a version without checksum": (lambda model: model.update(sha256=""), "models[0].sha256"),
    "an unquoted run id": (lambda model: model.update(runId=123), "runId"),
    "a name that Kubernetes refuses": (lambda model: model.update(name="Digits_1"), "name"),
    "no registered model": (lambda model: model.pop("registeredModel"), "registeredModel"),
    "an unknown key": (lambda model: model.update(alias="champion"), "alias"),
    "a template outside": (lambda model: model.update(template="../secrets"), "template"),
}


@pytest.mark.parametrize("case", WRONG_MODELS)
def test_wrong_models_are_refused_by_name(case: str, values: Manifest, model: Manifest, render: Render) -> None:
    change, name = WRONG_MODELS[case]
    render(values)
    change(model)
    with pytest.raises(helm_python.HelmError) as refused:
        render(values)
    assert name in str(refused.value)


def test_two_models_of_one_name_are_refused(values: Manifest, model: Manifest, render: Render) -> None:
    values["models"] = [model, {**model, "name": "plates"}, {**model, "registeredModel": "other"}]
    with pytest.raises(helm_python.HelmError, match=r'models\[2\]\.name: "digits" is already models\[0\]'):
        render(values)


def test_a_name_that_is_too_long_is_refused_and_never_cut(values: Manifest, model: Manifest, render: Render) -> None:
    model["name"] = "m" * 20
    values["fullnameOverride"] = "r" * 40
    assert render(values, only="Service")[0]["metadata"]["name"] == "r" * 40 + "-" + "m" * 20
    model["name"] = "m" * 23
    with pytest.raises(helm_python.HelmError, match=r"models\[0\]\.name: .* longer than the 63 characters"):
        render(values)


def test_fixed_node_ports_of_two_models_are_refused(values: Manifest, model: Manifest, render: Render) -> None:
    fixed = overlay(values, {"service": {"type": "NodePort", "nodePorts": {"grpc": 30801}}})
    assert render(fixed, only="Service")
    fixed["models"].append({**model, "name": "plates"})
    with pytest.raises(helm_python.HelmError, match=r"service\.nodePorts\.grpc: .* port 30801"):
        render(fixed)


def test_a_source_that_is_not_used_may_be_incomplete(values: Manifest, render: Render) -> None:
    render(overlay(values, {"modelRepository": {"source": "image", "gitSync": {"repo": ""}}}))


def test_values_yaml_says_what_each_value_is_for() -> None:
    assert list(uncommented((CHART / "values.yaml").read_text())) == []


def test_the_readme_names_every_rule_file() -> None:
    readme = (CHART / "README.md").read_text()
    for name in ("values.schema.json", "templates/_validate.tpl", "ci/", "autoscaling/prometheus-adapter-values.yaml"):
        assert name in readme
        assert Path(CHART, name).exists()


def readme(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run readme.py of a chart."""
    command = [sys.executable, str(folder / "readme.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_readme_is_made_from_the_values() -> None:
    checked = readme(CHART, "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_stale_readme_is_found_and_written_anew(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "triton")
    values = chart / "values.yaml"
    values.write_text(values.read_text().replace("maxReplicas: 4", "maxReplicas: 5"))
    stale = readme(chart, "--check")
    assert stale.returncode == 1
    assert "README.md is stale: run `python charts/triton/readme.py`" in stale.stderr
    assert readme(chart).returncode == 0
    assert readme(chart, "--check").returncode == 0
    assert "| `autoscaling.maxReplicas` | integer | `5` |" in (chart / "README.md").read_text()
