"""What all files ask for, beside what nodes give."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster import capacity, check, serving
from cluster.capacity import GIB, Servers
from cluster.kubectl import Kubectl
from cluster.settings import ROOT, Settings
from tests.support.settings import changed, served
from tests.unit.cluster.front import Front, named

# Renders by the real Helm, in the place of the program.
HELM = """#!{python}
import re, sys, helm_python, yaml
options = list(zip(sys.argv[4::2], sys.argv[5::2]))
assert dict(options)["--kube-version"].startswith("v1.")
values = {{}}
for _, path in [o for o in options if o[0] == "--values"]:
    values.update(yaml.safe_load(open(path)))
for name, value in (each.split("=", 1) for each in dict(options)["--set"].split(",")):
    if found := re.fullmatch(r"models\\[(\\d+)\\]\\.(\\w+)", name):
        values["models"][int(found[1])][found[2]] = int(value) if value == "1" else value
values["modelRepository"] = {{"gitSync": {{"repo": "https://example.com"}}}}
with helm_python.Chart.load(sys.argv[3]) as chart:
    rendered = chart.render(values, name=sys.argv[2], namespace="default")
for wanted in [o[1] for o in options if o[0] == "--show-only"]:
    print("---", next(text for name, text in rendered.items() if name.endswith(wanted)), sep="\\n")
"""

# A model of the registry behind one that is not ours, for charts/triton; and two servers of KServe.
TWO = """
replicas: 3
extraEnv:
  - name: A
    value: b
models:
  - name: densenet
    source: {s3: s3://bucket/densenet}
  # A comment.
  - name: digits
    registeredModel: digits-detector
    version: null
"""
KSERVE = """
serving: kserve
mode: single
replicas: 2
resources: {requests: {cpu: 500m, memory: 1Gi}}
models:
  - name: digits
    registeredModel: digits-detector
    version: 7
    sha256: "%s"
    storageUri: s3://bucket/digits-detector/7-11111111-1
  - {name: letters, registeredModel: letters}
""" % ("1" * 64)


def node(cpu: str, memory: str, gpus: int = 0, **spec: Any) -> dict[str, Any]:
    allocatable = {"cpu": cpu, "memory": memory, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return named("n", status={"allocatable": allocatable}, spec=spec)


def running(namespace: str, cpu: str, phase: str = "Running") -> dict[str, Any]:
    spec = {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": spec, "status": {"phase": phase}}


STAGING = Servers("staging/detector-digits", {"cpu": 1.0, "memory": GIB}, 1, 1)
GPU = Servers("staging/detector-digits", {"cpu": 1.0, "memory": GIB, "nvidia.com/gpu": 1.0}, 1, 1)


def test_the_documented_machine_holds_no_rollout_with_the_standard_size_and_one_with_the_small(
    settings: Settings,
) -> None:
    machine, k3s = [node("4", "16Gi")], [running("kube-system", "200m")]
    large, much = capacity.problems(settings, machine, k3s, [STAGING])
    assert large == []
    [found] = much
    assert "ask 6.43 CPU, " in found and "the nodes give 4 CPU, 16 GiB of memory" in found
    assert 'set cluster.size to "small" with platform.postgresql "statefulset"' in found
    small = changed(served(settings, "statefulset"), **{"cluster.size": "small"})
    one = Servers("staging/detector-digits", {"cpu": 0.5, "memory": GIB}, 1, 1)
    assert capacity.problems(small, machine, k3s, [one]) == ([], [])


def test_a_gpu_for_the_old_and_one_for_the_new_pod(settings: Settings) -> None:
    assert capacity.problems(settings, [node("16", "64Gi", 2)], [], [GPU]) == ([], [])
    _, [found] = capacity.problems(settings, [node("16", "64Gi", 1)], [], [GPU])
    assert "2 nvidia.com/gpu" in found and "1 nvidia.com/gpu" in found and "`strategy`" in found
    recreated = Servers(GPU.name, GPU.each, 1, 0)
    assert capacity.problems(settings, [node("16", "64Gi", 1)], [], [recreated]) == ([], [])
    _, [found] = capacity.problems(changed(settings, **{"training.gpus": 1}), [node("16", "64Gi", 1)], [], [recreated])
    assert "ask " in found and "2 nvidia.com/gpu" in found


def test_a_pod_that_fits_no_node_is_told_though_all_together_fit(settings: Settings) -> None:
    nodes = [node("3", "16Gi")] * 4
    large, much = capacity.problems(settings, nodes, [], [Servers("production/a", {"cpu": 4.0}, 1, 0)])
    assert much == []
    assert large == [
        "A pod of production/a asks 4 CPU, and the largest node gives 3 CPU. Ask for less, or add such a node."
    ]


def test_nodes_that_take_no_pods_and_pods_that_have_ended_do_not_count(settings: Settings) -> None:
    nodes = [node("8", "32Gi"), node("8", "32Gi", unschedulable=True)]
    assert capacity.problems(settings, nodes, [running("other", "9", "Succeeded")], [STAGING]) == ([], [])
    _, [found] = capacity.problems(settings, nodes, [running("other", "2500m")], [STAGING])
    assert "the nodes give 8 CPU" in found


@pytest.mark.parametrize(("surge", "replicas", "pods"), [(1, 2, 1), ("25%", 2, 1), ("50%", 4, 2), (0, 2, 0)])
def test_a_rollouts_pods(surge: str | int, replicas: int, pods: int) -> None:
    assert serving._surge({"rollingUpdate": {"maxSurge": surge}}, replicas) == pods


def test_what_a_pod_asks_is_the_most_that_it_ever_needs() -> None:
    def asking(**resources: Any) -> dict[str, Any]:
        return {"resources": resources}

    spec = {
        "containers": [asking(requests={"cpu": "250m"}), asking(limits={"nvidia.com/gpu": 1, "cpu": "4"})],
        "initContainers": [asking(requests={"cpu": "1", "memory": "64Mi"}), asking(requests={"cpu": "100m"})],
    }
    assert capacity.requests(spec) == {"cpu": 1.0, "memory": 64 * 2**20, "nvidia.com/gpu": 1.0}


def put_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(HELM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_the_check_renders_every_values_file(
    settings: Settings, front: Front, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_helm(tmp_path, monkeypatch)
    found = {
        each.name: (each.each["cpu"], each.replicas, each.surge) for each in serving.model_servers(settings, kubectl)
    }
    # The server's processors, and the proxy's 50m.
    assert found == {"staging/detector-digits": (1.05, 1, 1), "production/detector-digits": (2.05, 2, 1)}
    front.nodes = [node("1", "16Gi")]
    told = {finding.kind: finding.text for finding in check._room(settings, kubectl, front.nodes)}
    assert told["fail"].startswith("A pod of production/detector-digits asks 2.05 CPU")
    assert told["note"].startswith("Not all of it has room at once: the platform, 3 model server(s)")
    assert ROOT.is_dir() and front.writes == []


def test_the_check_renders_each_file_with_the_chart_that_serves_it(
    settings: Settings, front: Front, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real node `cluster-check` refused each app of KServe's; a model with a source has no version."""
    put_helm(tmp_path, monkeypatch)
    root = tmp_path / "fork"
    shutil.copytree(ROOT / "charts", root / "charts")
    for app, text in {"two": TWO, "kserve": KSERVE, "empty": "models: []\n"}.items():
        file = root / "argocd-apps" / "staging" / app / "values.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    shutil.copy(ROOT / "argocd-apps" / "staging" / "environment.yaml", file.parents[1])
    found = {
        each.name: (round(each.each["cpu"], 3), each.replicas, each.surge)
        for each in serving.model_servers(settings, kubectl, root)
    }
    assert found == {
        "staging/two-digits": (1.05, 3, 1),
        "staging/two-densenet": (1.05, 3, 1),
        # The server's 500m, and the proxy's 50m.
        "staging/kserve-digits-kserve": (0.55, 2, 1),
        "staging/kserve-letters-kserve": (0.55, 2, 1),
    }
