"""The sandbox and a cluster run the same chart by the same ApplicationSet; only an environment's own file differs."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from sandbox.argocd.appset.controller import applications
from sandbox.argocd.appset.generators import Sources
from sandbox.argocd.render.gitrepo import GitCache
from sandbox.argocd.render.source import manifests
from sandbox.kube.objects.manifests import SCHEMAS
from sandbox.kube.objects.schema import Problems
from sandbox.platform.cluster import KubernetesApi, bootstrap
from tests.unit.charts.conftest import CHART, SHA256, Manifest

ROOT = CHART.parents[1]
APPS = ROOT / "argocd-apps"
ENVIRONMENTS = sorted(path.parent.name for path in APPS.glob("*/environment.yaml"))


def git(*args: str, cwd: Path) -> None:
    """Run git."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *args], cwd=cwd, check=True, capture_output=True, timeout=30)


def cluster(name: str, environments: list[str]) -> Manifest:
    """Argo CD's Secret of a cluster that runs some environments."""
    labels = {f"yolo-lifecycle/environment-{environment}": "true" for environment in environments}
    data = {"name": name, "server": f"https://{name}.example.com"}
    return {
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "cluster", **labels}},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    """The Application of each environment's app `detector`, out of argocd-apps/ as it is, by environment."""
    repository, cache = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("cache")
    for path in [*APPS.glob("*/environment.yaml"), *APPS.glob("*/*/values.yaml")]:
        target = repository / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    git("init", "--quiet", "--initial-branch=main", cwd=repository)
    git("add", "--all", cwd=repository)
    git("commit", "--quiet", "-m", "environments", cwd=repository)
    appset = yaml.safe_load((APPS / "applicationset.yaml").read_text())
    appset["metadata"]["uid"] = "1234"
    generator = appset["spec"]["generators"][0]["matrix"]["generators"][0]["git"]
    generator["repoURL"], generator["revision"] = str(repository), "main"
    others = [environment for environment in ENVIRONMENTS if environment != "staging"]
    clusters = [cluster("machine", ["staging"]), cluster("k3s", others)]
    found = asyncio.run(applications(appset, Sources(GitCache(cache), clusters)))
    return {app["metadata"]["labels"]["yolo-lifecycle/environment"]: app for app in found}


def test_one_chart_and_one_application_set_serve_models() -> None:
    charts = [path for path in ROOT.glob("*/*/Chart.yaml") if yaml.safe_load(path.read_text())["name"] == "triton"]
    assert charts == [CHART / "Chart.yaml"]
    appsets = [
        path
        for folder in ("argocd-apps", "sandbox", "charts/platform", "cluster")
        for path in (ROOT / folder).rglob("*.yaml")
        if "kind: ApplicationSet" in path.read_text().splitlines()
    ]
    assert appsets == [APPS / "applicationset.yaml"]


def test_the_sandbox_applies_the_root_that_a_cluster_gets() -> None:
    class Recorder(KubernetesApi):
        """Takes what is applied, and sends nothing."""

        def __init__(self) -> None:
            self.applied: list[Manifest] = []

        def apply(self, manifest: Manifest) -> None:
            self.applied.append(manifest)

    recorder = Recorder()
    bootstrap(recorder, "http://127.0.0.1:5000", ["staging", "production"])
    ours = [each for each in recorder.applied if each["apiVersion"].startswith("argoproj.io/")]
    assert ours == [yaml.safe_load((APPS / "root.yaml").read_text())]


def test_every_environment_gets_the_same_application_but_for_its_name(generated: dict[str, Manifest]) -> None:
    assert sorted(generated) == ENVIRONMENTS
    assert generated["staging"]["spec"]["destination"]["name"] == "machine"
    assert generated["production"]["spec"]["destination"]["name"] == "k3s"

    def nameless(environment: str) -> str:
        spec = dict(generated[environment]["spec"])
        destination = {**spec.pop("destination")}
        assert destination.pop("name")
        return yaml.safe_dump([spec, destination]).replace(environment, "<environment>")

    assert {nameless(environment) for environment in ENVIRONMENTS} == {nameless("staging")}
    assert generated["staging"]["spec"]["source"]["path"] == str(CHART.relative_to(ROOT))


def test_every_environment_renders_the_same_objects_but_for_what_people_set(
    generated: dict[str, Manifest], tmp_path: Path
) -> None:
    """With a version in each bumped file, as the DAG writes it; staging with the sandbox's own environment.yaml."""
    shutil.copytree(CHART, tmp_path / "charts" / "triton")
    rendered: dict[str, dict[tuple[str, str], Manifest]] = {}
    for environment, app in generated.items():
        for name in (f"{environment}/environment.yaml", f"{environment}/detector/values.yaml"):
            own = ROOT / "sandbox" / "platform" / "environment.yaml"
            text = (own if name == "staging/environment.yaml" else APPS / name).read_text()
            text = text.replace("version: null", "version: 3").replace('sha256: ""', f'sha256: "{SHA256}"')
            (tmp_path / "argocd-apps" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "argocd-apps" / name).write_text(text)
        objects = manifests(app["spec"]["source"], tmp_path, app["metadata"]["name"], environment)
        rendered[environment] = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    refused: Problems = []
    for (kind, _), manifest in rendered["staging"].items():
        next(schema for of, schema in SCHEMAS.items() if of.kind == kind).check(manifest, kind, refused)
    assert not refused, "the sandbox's Kubernetes runs the chart as it is"
    names = {("Deployment", "detector-digits"), ("Service", "detector-digits"), ("ServiceAccount", "detector")}
    for environment, found in rendered.items():
        assert names <= set(found), environment
    pods = {
        environment: found["Deployment", "detector-digits"]["spec"]["template"]["spec"]
        for environment, found in rendered.items()
    }
    for key in ("image", "command", "envFrom", "volumeMounts", "securityContext"):
        assert {str(pod["containers"][0][key]) for pod in pods.values()} == {str(pods["staging"]["containers"][0][key])}
    assert {str(pod["initContainers"][0]) for pod in pods.values()} == {str(pods["staging"]["initContainers"][0])}
