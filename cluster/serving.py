"""The model servers that the values files of argocd-apps/ ask for, rendered by Helm as Argo CD renders them."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cluster.capacity import Servers, requests
from cluster.errors import ClusterError
from cluster.findings import Finding, fail
from cluster.kubectl import Kubectl, Object
from cluster.settings import ROOT, Settings

# What of each chart says what its pods ask for.
TEMPLATES = {
    "triton": ("server/deployment.yaml",),
    "kserve": ("inferenceservice.yaml", "servingruntime.yaml"),
}
# A values file as if each of its models had been released.
RELEASED = ("version=1", f"sha256={'0' * 64}")
INFERENCE_SERVICES = "inferenceservices.serving.kserve.io"
PUBLISHED = "storageUri=s3://bucket/model/1-00000000-1"


def model_servers(settings: Settings, kubectl: Kubectl, root: Path = ROOT) -> Iterator[Servers]:
    """The model servers of all values files of the environments that this cluster serves.

    Raises:
        ClusterError: Helm refuses a file; its own words are in the message.
    """
    # By itself Helm takes the Kubernetes that it was built for, which may be an old one.
    version = json.loads(kubectl.run("version", "--output", "json"))["serverVersion"]["gitVersion"]
    for environment, file in _files(settings, root):
        objects = _rendered(file, kubectl, root, version)
        runtimes = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ServingRuntime"}
        for each in objects:
            if each["kind"] == "Deployment":
                yield _of_deployment(environment, each)
            elif each["kind"] == "InferenceService":
                yield _of_kserve(environment, each, runtimes)


def kserve(settings: Settings, kubectl: Kubectl, root: Path = ROOT) -> Iterator[Finding]:
    """Whether KServe is there, where a file asks for it: without it, Argo CD can make none of the app's objects."""
    files = [str(file.relative_to(root)) for _, file in _files(settings, root) if _by_kserve(file)]
    if files and kubectl.get("customresourcedefinition", INFERENCE_SERVICES) is None:
        yield fail(
            f"The cluster has no KServe, by which {', '.join(files)} is served (`serving: kserve`). Install it "
            "(charts/kserve/README.md, What the cluster needs), or take that line out: charts/triton serves then."
        )


def _files(settings: Settings, root: Path) -> Iterator[tuple[str, Path]]:
    for environment in settings.served:
        for file in sorted((root / "argocd-apps" / environment).glob("*/values.yaml")):
            yield environment, file


def _by_kserve(file: Path) -> bool:
    """Whether this values file picks charts/kserve, as argocd-apps/applicationset.yaml reads it."""
    return re.search(r"^serving: *[\"']?kserve\b", file.read_text(), re.MULTILINE) is not None


def _rendered(file: Path, kubectl: Kubectl, root: Path, version: str) -> list[Object]:
    """The objects of one file from which pods are made, as they are once each of its models has a version."""
    chart = "kserve" if _by_kserve(file) else "triton"
    command = ["helm", "template", file.parent.name, str(root / "charts" / chart), "--kube-version", version]
    command += ["--values", str(file.parents[1] / "environment.yaml"), "--values", str(file)]
    command += [word for name in TEMPLATES[chart] for word in ("--show-only", f"templates/{name}")]
    keys = (*RELEASED, PUBLISHED) if chart == "kserve" else RELEASED
    sets = [f"models[{number}].{key}" for number in _registered(file.read_text()) for key in keys]
    command += ["--set", ",".join([*sets, "modelRepository.gitSync.repo=https://example.com"])]
    done = subprocess.run(command, capture_output=True, text=True)
    # Helm finds none of the templates where the file names no model.
    if done.returncode and "could not find template" not in done.stderr:
        raise ClusterError(f"{file.relative_to(root)} cannot be rendered: {done.stderr.strip()}")
    # Any change that kubectl makes by itself: it turns YAML into JSON, and asks no cluster for the kinds.
    options = ("annotate", "--local", "--output", "json", "--filename", "-", "yolo-lifecycle/read=yes")
    return list(_documents(kubectl.run(*options, stdin=done.stdout))) if "kind:" in done.stdout else []


def _registered(values: str) -> list[int]:
    """The places in `models` of those that come from MLflow's registry; one with a `source` has no version."""
    block = re.search(r"^models:.*\n((?:[ #-].*\n|\n)*)", values + "\n", re.MULTILINE)
    first = re.search(r"^ *- ", block[1], re.MULTILINE) if block else None
    if block is None or first is None:
        return []
    items = re.split(f"^{first[0]}", block[1], flags=re.MULTILINE)[1:]
    return [number for number, item in enumerate(items) if not re.search(r"(?:^|\n) *source:", item)]


def _documents(text: str) -> Iterator[Object]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        found, end = decoder.raw_decode(text[at:].lstrip())
        at += len(text[at:]) - len(text[at:].lstrip()) + end
        yield from found["items"] if found.get("kind") == "List" else [found]


def _of_deployment(environment: str, deployment: Object) -> Servers:
    spec, name = deployment["spec"], deployment["metadata"]["name"]
    replicas = int(spec.get("replicas", 1))
    return Servers(
        f"{environment}/{name}", requests(spec["template"]["spec"]), replicas, _surge(spec.get("strategy"), replicas)
    )


def _of_kserve(environment: str, service: Object, runtimes: dict[str, Object]) -> Servers:
    """The pods that KServe makes of it: the runtime's containers, the first of which gets the service's resources."""
    predictor, name = service["spec"]["predictor"], service["metadata"]["name"]
    asked = Counter(requests({"containers": [predictor["model"]]}))
    for container in runtimes[predictor["model"]["runtime"]]["spec"]["containers"]:
        if container["name"] != "kserve-container":
            asked.update(requests({"containers": [container]}))
    replicas = int(predictor["minReplicas"])
    return Servers(f"{environment}/{name}", asked, replicas, _surge(predictor.get("deploymentStrategy"), replicas))


def _surge(strategy: Object | None, replicas: int) -> int:
    surge = str(((strategy or {}).get("rollingUpdate") or {}).get("maxSurge", 0))
    return -(-int(surge[:-1]) * replicas // 100) if surge.endswith("%") else int(surge)
