"""ApplicationSets are expanded from a real git repository."""

from __future__ import annotations

import asyncio
import base64
import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.argocd.appset.controller import applications, repositories
from sandbox.argocd.appset.generators import Sources, selects
from sandbox.argocd.errors import GitError, TemplateError, UnsupportedError
from sandbox.argocd.render.gitrepo import GitCache
from sandbox.tests.support import ROOT

Manifest = dict[str, Any]
VALUES = "models:\n  - {name: digits, registeredModel: digits-detector, version: null}\n"
FILES = {
    "argocd-apps/staging/detector/values.yaml": VALUES,
    "argocd-apps/staging/plates/values.yaml": VALUES,
    "argocd-apps/production/detector/values.yaml": VALUES,
    "argocd-apps/production/environment.yaml": "replicas: 2\n",
}


def git(*args: str, cwd: Path) -> None:
    """Run git."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *args], cwd=cwd, check=True, capture_output=True, timeout=30)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with three apps in two environments."""
    root = tmp_path / "repository"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "-m", "files", cwd=root)
    return root


@pytest.fixture
def appset(repository: Path) -> Manifest:
    """argocd-apps/applicationset.yaml as it is, with the repository's address, as the API server has it."""
    text = (ROOT / "argocd-apps" / "applicationset.yaml").read_text()
    found = yaml.safe_load(text.replace("https://github.com/your-org/yolo-lifecycle.git", str(repository)))
    found["metadata"]["uid"] = "1234"
    return found


def cluster(name: str, **labels: str) -> Manifest:
    """A cluster Secret."""
    data = {"name": name, "server": f"https://{name}.example.com"}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    labels = {"argocd.argoproj.io/secret-type": "cluster", **{k.replace("_", "/", 1): v for k, v in labels.items()}}
    return {"metadata": {"name": name, "labels": labels}, "data": encoded}


def serving(name: str, *environments: str) -> Manifest:
    """A cluster Secret that names environments."""
    return cluster(name, **{f"yolo-lifecycle_environment-{environment}": "true" for environment in environments})


def expand(appset: Manifest, clusters: list[Manifest], cache: Path) -> dict[str, Manifest]:
    """The Applications by name."""
    found = asyncio.run(applications(appset, Sources(GitCache(cache), clusters)))
    return {app["metadata"]["name"]: app for app in found}


def test_each_app_goes_to_the_cluster_that_names_its_environment(appset: Manifest, tmp_path: Path) -> None:
    apps = expand(appset, [serving("one", "staging"), serving("two", "production")], tmp_path / "cache")
    places = {name: app["spec"]["destination"] for name, app in apps.items()}
    assert places == {
        "production-detector": {"name": "two", "namespace": "production"},
        "staging-detector": {"name": "one", "namespace": "staging"},
        "staging-plates": {"name": "one", "namespace": "staging"},
    }
    source = apps["staging-plates"]["spec"]["source"]
    assert source["helm"]["releaseName"] == "plates"
    assert source["helm"]["valueFiles"] == [
        "/argocd-apps/staging/environment.yaml",
        "/argocd-apps/staging/plates/values.yaml",
    ]
    assert apps["staging-plates"]["metadata"]["labels"]["yolo-lifecycle/environment"] == "staging"


def test_one_cluster_may_run_several_environments_and_none_gets_what_it_does_not_name(
    appset: Manifest, tmp_path: Path
) -> None:
    both = expand(appset, [serving("one", "staging", "production")], tmp_path / "cache")
    assert set(both) == {"production-detector", "staging-detector", "staging-plates"}
    assert expand(appset, [cluster("one")], tmp_path / "cache") == {}
    assert expand(appset, [serving("one", "sandbox")], tmp_path / "cache") == {}


def test_an_environment_on_two_clusters_is_refused(appset: Manifest, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="duplicate name: staging-detector"):
        expand(appset, [serving("one", "staging"), serving("two", "staging")], tmp_path / "cache")


def test_deeper_files_match_too_as_in_argo_cds_default_globbing(
    appset: Manifest, repository: Path, tmp_path: Path
) -> None:
    deep = repository / "argocd-apps" / "staging" / "deep" / "er" / "values.yaml"
    deep.parent.mkdir(parents=True)
    deep.write_text(VALUES)
    git("add", "--all", cwd=repository)
    git("commit", "--quiet", "-m", "deeper", cwd=repository)
    assert "staging-er" in expand(appset, [serving("one", "staging")], tmp_path / "cache")


def changed(appset: Manifest, **spec: Any) -> Manifest:
    """A copy with other fields in spec."""
    result = copy.deepcopy(appset)
    result["spec"].update(spec)
    return result


def test_what_is_not_supported_is_refused_by_name(appset: Manifest, repository: Path, tmp_path: Path) -> None:
    files = {"repoURL": str(repository), "files": [{"path": "{a,b}/*/values.yaml"}]}
    wrong: dict[str, Manifest] = {
        "pullRequest": changed(appset, generators=[{"pullRequest": {}}]),
        "directories": changed(appset, generators=[{"git": {"repoURL": "x", "directories": []}}]),
        "exactly two": changed(appset, generators=[{"matrix": {"generators": [{"clusters": {}}]}}]),
        "braces": changed(appset, generators=[{"git": files}]),
        "goTemplate": changed(appset, goTemplate=False),
        "missingkey": changed(appset, goTemplateOptions=[]),
        "spec.strategy": changed(appset, strategy={"type": "RollingSync"}),
        "flatList": changed(appset, generators=[{"clusters": {"flatList": True}}]),
    }
    for said, manifest in wrong.items():
        with pytest.raises(UnsupportedError) as refused:
            expand(manifest, [serving("one", "staging")], tmp_path / "cache")
        assert said in str(refused.value)


def test_a_missing_parameter_is_an_error_and_not_an_empty_name(appset: Manifest, tmp_path: Path) -> None:
    appset["spec"]["template"]["metadata"]["name"] = "{{ .environment }}-app"
    with pytest.raises(TemplateError, match="no entry for key 'environment'"):
        expand(appset, [serving("one", "staging")], tmp_path / "cache")


def test_a_values_file_that_is_no_yaml_is_named(appset: Manifest, repository: Path, tmp_path: Path) -> None:
    (repository / "argocd-apps" / "staging" / "plates" / "values.yaml").write_text("models: [}")
    git("commit", "--quiet", "--all", "-m", "broken", cwd=repository)
    with pytest.raises(TemplateError, match=r"staging/plates/values\.yaml"):
        expand(appset, [serving("one", "staging")], tmp_path / "cache")


def test_list_and_cluster_values(appset: Manifest, tmp_path: Path) -> None:
    template = {"metadata": {"name": "{{ .name }}-{{ .values.tier }}"}, "spec": {"project": "default"}}
    generators = [
        {"clusters": {"selector": {"matchLabels": {"tier": "gpu"}}, "values": {"tier": "on-{{ .name }}"}}},
        {"list": {"elements": [{"name": "listed", "values": {"tier": "x"}}]}},
        {"clusters": {"values": {"tier": "all"}}},
    ]
    apps = expand(changed(appset, generators=generators, template=template), [cluster("a", tier="gpu")], tmp_path)
    assert set(apps) == {"a-on-a", "listed-x", "a-all", "in-cluster-all"}


def test_git_that_is_away_is_a_git_error_without_credentials(appset: Manifest, tmp_path: Path) -> None:
    url = f"file://user:secret@{tmp_path}/nowhere.git"
    with pytest.raises(GitError) as failed:
        asyncio.run(GitCache(tmp_path / "cache").fetch(url))
    assert "cannot be fetched" in str(failed.value)
    assert "secret" not in str(failed.value)


def test_the_repositories_to_fetch_are_those_of_the_git_generators(appset: Manifest, repository: Path) -> None:
    assert repositories(appset["spec"]["generators"]) == {str(repository)}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_label_selectors(selector: Manifest, matches: bool) -> None:
    assert selects(selector, {"a": "1"}) is matches
