"""argocd-apps/ holds together: one repository, one project, folders, and what the chart renders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render

ROOT = CHART.parents[1]
APPS = ROOT / "argocd-apps"
# Applications of the platform, which are no environment and no part of root.yaml (tests/unit/argocd_apps).
PLATFORM = {"platform", "platform.yaml"}


def load(name: str) -> Manifest:
    """One manifest."""
    return yaml.safe_load((APPS / name).read_text())


def values_of(key: str, of: Any) -> list[Any]:
    """Every value of a key, however deep."""
    if isinstance(of, dict):
        found = [value for name, value in of.items() if name == key]
        return found + [each for value in of.values() for each in values_of(key, value)]
    return [each for value in of for each in values_of(key, value)] if isinstance(of, list) else []


def environments() -> list[str]:
    """The folders of argocd-apps/ that are environments."""
    return sorted(path.name for path in APPS.iterdir() if path.is_dir() and path.name not in PLATFORM)


def test_every_file_names_the_same_repository_and_branch() -> None:
    root, project, appset = load("root.yaml"), load("project.yaml"), load("applicationset.yaml")
    urls = values_of("repoURL", [root, appset]) + values_of("repo", appset) + project["spec"]["sourceRepos"]
    assert len(set(urls)) == 1, "the fork's, as cluster/settings.toml has it"
    branches = values_of("targetRevision", [root, appset]) + values_of("revision", appset)
    refs = [values_of("ref", load(f"{name}/environment.yaml")) for name in environments()]
    assert len({*branches, *(ref for found in refs for ref in found)}) == 1


def test_what_an_environment_says_of_the_code_counts() -> None:
    (helm,) = values_of("helm", load("applicationset.yaml"))
    assert set(helm["valuesObject"]["modelRepository"]["gitSync"]) == {"repo", "credentialsSecret"}, "these outrank it"


def test_the_root_includes_the_files_that_there_are_and_no_values() -> None:
    source = load("root.yaml")["spec"]["source"]
    assert (ROOT / source["path"]) == APPS
    assert source["directory"]["recurse"] is False
    included = source["directory"]["include"].strip("{}").split(",")
    assert sorted(included) == sorted(
        path.name for path in APPS.glob("*.yaml") if path.name not in {"root.yaml", *PLATFORM}
    )


def test_the_project_allows_each_environment_and_nothing_else() -> None:
    destinations = load("project.yaml")["spec"]["destinations"]
    assert sorted(entry["namespace"] for entry in destinations) == environments()


def test_the_application_set_uses_the_project_and_the_chart() -> None:
    spec = load("applicationset.yaml")["spec"]["template"]["spec"]
    assert spec["project"] == load("project.yaml")["metadata"]["name"]
    path = spec["source"]["path"]
    assert path == 'charts/{{ index . "serving" | default "triton" }}', "the app's own values file picks the chart"
    switch = json.loads((CHART / "values.schema.json").read_text())["properties"]["serving"]["enum"]
    assert {name for name in switch if (CHART.parent / name / "Chart.yaml").is_file()} == {"triton", "kserve"}


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_the_project_allows_every_kind_that_the_chart_renders(path: Path, render: Render) -> None:
    allowed = {(entry["group"], entry["kind"]) for entry in load("project.yaml")["spec"]["namespaceResourceWhitelist"]}
    rendered = {
        (found["apiVersion"].rpartition("/")[0], found["kind"]) for found in render(yaml.safe_load(path.read_text()))
    }
    # A Secret out of values is for trying things by hand: what Argo CD applies is in Git, where no Secret belongs.
    assert ("", "Secret") not in allowed
    assert rendered - {("", "Secret")} <= allowed


def test_neither_a_lost_folder_nor_a_lost_application_stops_a_server() -> None:
    policy = load("applicationset.yaml")["spec"]["syncPolicy"]
    assert policy == {"applicationsSync": "create-update", "preserveResourcesOnDeletion": True}
    values = yaml.safe_load((ROOT / "charts" / "platform" / "argo-cd.yaml").read_text())
    assert values["configs"]["params"]["applicationsetcontroller.enable.policy.override"] is True


def test_a_failed_first_version_can_be_taken_back_to_nothing() -> None:
    policy = load("applicationset.yaml")["spec"]["template"]["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True, "allowEmpty": True}
    assert {"CreateNamespace=true", "ServerSideApply=true"} <= set(policy["syncOptions"])
    assert policy["retry"]["limit"] > 0
    cluster_kinds = load("project.yaml")["spec"]["clusterResourceWhitelist"]
    assert cluster_kinds == [{"group": "", "kind": "Namespace"}], "CreateNamespace=true needs it, nothing else does"


@pytest.mark.parametrize("environment", environments())
def test_each_environment_has_people_s_file_and_the_machine_s(environment: str) -> None:
    assert (APPS / environment / "environment.yaml").is_file()
    bumped = sorted((APPS / environment).glob("*/values.yaml"))
    assert bumped
    for path in bumped:
        values = yaml.safe_load(path.read_text())
        assert set(values) == {"models"}
        for model in values["models"]:
            assert set(model) == {"name", "registeredModel", "version", "sha256", "runId", "codeCommit", "hold"}
            assert model["version"] is None, "a fork starts with nothing that its own registry does not have"
