"""Settings of a fork, and a cluster that has what a test gives it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import pytest
import yaml

from cluster import check
from cluster.kubectl import Kubectl
from cluster.repository import Repository
from cluster.settings import ROOT, Settings, load
from sandbox.tests.support.kube import Server
from tests.support.settings import changed
from tests.unit.cluster.front import Front

Sentences = Callable[..., list[str]]
ORIGINAL = Path(__file__).with_name("original.toml")
URL, HEAD = "https://git.example.com/team/fork.git", "c0ffee" + "0" * 34
NAMESPACES = ("platform", "monitoring", "lifecycle", "argocd", "staging", "production")


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The sandbox's API server."""
    server = Server(tmp_path_factory.mktemp("kube") / "root")
    yield server
    server.stop()


@pytest.fixture
def front(kube: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A cluster with nothing of ours in it, to which kubectl's current context leads."""
    upstream = yaml.safe_load(kube.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    front = Front(upstream)
    for namespace in NAMESPACES:
        with suppress(HTTPError):
            front.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    monkeypatch.setenv("KUBECONFIG", str(front.kubeconfig(tmp_path / "kubeconfig")))
    # What kubectl remembers of an address; another session's server may have had the same port.
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "kubectl"))
    # Hundreds of short processes, a quarter of whose time is the collection of their garbage.
    monkeypatch.setenv("GOGC", "off")
    yield front
    for namespace in NAMESPACES:
        for plural in (
            "apis/argoproj.io/v1alpha1/{}/applications",
            "apis/argoproj.io/v1alpha1/{}/applicationsets",
            "apis/apps/v1/{}/deployments",
            "api/v1/{}/secrets",
        ):
            front.call("DELETE", "/" + plural.format(f"namespaces/{namespace}"))
    front.close()


@pytest.fixture
def kubectl(front: Front) -> Kubectl:
    """kubectl against that cluster."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    return Kubectl()


@pytest.fixture
def settings() -> Settings:
    """Settings as a fork might have filled them in."""
    return changed(load(ORIGINAL), **{"repository.url": URL})


@pytest.fixture
def repository(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The fork's remote: at HEAD, with a folder for each environment."""
    found = Repository(settings)
    monkeypatch.setattr(Repository, "commit", lambda self, revision="": HEAD)
    files = [*(f"{name}/detector/values.yaml" for name in ("staging", "production")), "platform/monitoring.yaml"]
    monkeypatch.setattr(Repository, "files", lambda self: [f"argocd-apps/{file}" for file in files])
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The manifests and the settings, to write to."""
    for folder in ("argocd-apps", "charts/platform"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "cluster").mkdir()
    shutil.copy(ORIGINAL, tmp_path / "cluster" / "settings.toml")
    return tmp_path


@pytest.fixture
def failures(kubectl: Kubectl) -> Sentences:
    """The texts of what the check of the cluster finds wrong."""

    def look(settings: Settings, variables: dict[str, str] | None = None) -> list[str]:
        found = check.of_cluster(
            settings, kubectl, variables if variables is not None else {"GIT_USERNAME": "u", "GIT_TOKEN": "t"}
        )
        return [finding.text for finding in found if finding.kind == "fail"]

    return look
