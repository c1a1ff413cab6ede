"""Argo CD's rules, one by one: health, drift, projects, specs, sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.argocd import clock, globs
from sandbox.argocd.application.project import Project
from sandbox.argocd.application.spec import Retry, parse
from sandbox.argocd.cluster import health
from sandbox.argocd.cluster.compare import differs, merge_patch
from sandbox.argocd.cluster.kube import Resource
from sandbox.argocd.cluster.objects import ManagedObject, health_of_all
from sandbox.argocd.errors import InvalidSpecError, RenderError, UnsupportedError
from sandbox.argocd.render import source

Manifest = dict[str, Any]
SERVER = "https://kubernetes.default.svc"


def deployment(status: Manifest, generation: int = 2, **spec: Any) -> Manifest:
    """A live Deployment of two replicas."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "generation": generation},
        "spec": {"replicas": 2, **spec},
        "status": {"observedGeneration": 2, **status},
    }


DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
STUCK = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}


@pytest.mark.parametrize(
    ("manifest", "status", "said"),
    [
        (deployment(DONE), "Healthy", ""),
        (deployment(DONE, generation=3), "Progressing", "observed deployment generation less than desired"),
        (deployment({**DONE, "updatedReplicas": 1}), "Progressing", "1 out of 2 new replicas have been updated"),
        (deployment({**DONE, "replicas": 3}), "Progressing", "1 old replicas are pending termination"),
        (deployment({**DONE, "availableReplicas": 1}), "Progressing", "1 of 2 updated replicas are available"),
        (deployment({**DONE, **STUCK}), "Degraded", 'Deployment "d" exceeded its progress deadline'),
        (deployment({**DONE, **STUCK}, generation=3), "Progressing", "observed deployment generation"),
        (deployment(DONE, paused=True), "Suspended", "paused"),
        (deployment({}), "Progressing", "0 out of 2"),
    ],
)
def test_health_of_a_deployment(manifest: Manifest, status: str, said: str) -> None:
    found = health.of(manifest)
    assert found is not None
    assert found.status == status
    assert said in found.message


def live(kind: str, status: Manifest, **spec: Any) -> Manifest:
    """A live object of the core group."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("manifest", "status"),
    [
        (live("Service", {}), "Healthy"),
        (live("Service", {}, type="LoadBalancer"), "Progressing"),
        (live("Service", {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, type="LoadBalancer"), "Healthy"),
        (live("PersistentVolumeClaim", {"phase": "Bound"}), "Healthy"),
        (live("PersistentVolumeClaim", {"phase": "Pending"}), "Progressing"),
        (live("PersistentVolumeClaim", {"phase": "Lost"}), "Degraded"),
        (live("Pod", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), "Healthy"),
        (live("Pod", {"phase": "Running"}), "Progressing"),
        (live("Pod", {"phase": "Pending"}), "Progressing"),
        (live("Pod", {"phase": "Succeeded"}), "Healthy"),
        (live("Pod", {"phase": "Failed"}), "Degraded"),
        (
            live(
                "Pod", {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}
            ),
            "Degraded",
        ),
    ],
)
def test_health_of_other_kinds(manifest: Manifest, status: str) -> None:
    found = health.of(manifest)
    assert found is not None
    assert found.status == status


def test_what_has_no_health_does_not_count_and_the_worst_one_does() -> None:
    assert health.of(live("ConfigMap", {})) is None
    assert health.worst([]).status == "Healthy"
    order = ["Healthy", "Degraded", "Progressing", "Missing"]
    assert health.worst([health.Health(status) for status in order]).status == "Degraded"


def test_an_application_is_as_well_as_what_is_there_of_it_and_missing_if_nothing_is() -> None:
    """Argo CD 3.5: in the midst of its first sync an Application is OutOfSync and Healthy."""
    resource = Resource("apps/v1", "Deployment", "deployments", namespaced=True)

    def item(live: Manifest | None, wanted: bool = True) -> ManagedObject:
        return ManagedObject(resource, "default", "d", deployment({}) if wanted else None, live)

    well, stuck = deployment(DONE), deployment(STUCK)
    assert health_of_all([item(None), item(None)]).status == "Missing"
    assert health_of_all([item(None), item(well)]).status == "Healthy"
    assert health_of_all([item(well), item(stuck, wanted=False)]).status == "Degraded", "what is to be pruned counts"
    assert health_of_all([]).status == "Healthy"


def test_drift_is_what_git_sets_and_the_cluster_lacks() -> None:
    desired = {"kind": "Deployment", "metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"list": [{"n": 1}]}}
    defaulted: Manifest = {
        "kind": "Deployment",
        "metadata": {"name": "a", "uid": "u", "labels": {"x": "1", "theirs": "2"}},
        "spec": {"list": [{"n": 1, "defaulted": True}], "more": 1},
        "status": {"anything": 1},
    }
    assert not differs(desired, defaulted)
    assert differs(desired, {**defaulted, "spec": {"list": [{"n": 2}]}})
    assert differs(desired, {**defaulted, "spec": {"list": [{"n": 1}, {"n": 2}]}})
    assert differs(desired, {**defaulted, "metadata": {"name": "a"}})
    assert differs({**desired, "spec": {"list": [], "gone": 1}}, defaulted)


def test_drift_ignores_how_empty_is_written_and_how_secrets_are_given() -> None:
    assert not differs({"spec": {"a": {}, "b": [], "c": None}}, {"spec": {}})
    assert differs({"spec": {"b": []}}, {"spec": {"b": [1]}})
    assert not differs({"stringData": {"key": "value"}}, {"data": {"key": "dmFsdWU="}})
    assert differs({"stringData": {"key": "other"}}, {"data": {"key": "dmFsdWU="}})


@pytest.mark.parametrize(
    ("desired", "live", "same"),
    [
        ({"limits": {"cpu": "1000m", "memory": "1024Mi"}}, {"limits": {"cpu": "1", "memory": "1Gi"}}, True),
        ({"limits": {"cpu": 2}}, {"limits": {"cpu": "2"}}, True),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, False),
        ({"limits": {"cpu": "1"}}, {"limits": {}}, False),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}, True),
        ({"text": "1000m"}, {"text": "1"}, False),
    ],
)
def test_what_the_api_server_writes_in_its_own_way_is_no_drift(desired: Manifest, live: Manifest, same: bool) -> None:
    assert differs({"spec": desired}, {"spec": live}) is not same


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda children: st.dictionaries(st.sampled_from("abcd"), children, max_size=3),
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


def patched(value: Any, patch: Any) -> Any:
    """RFC 7386, as the RFC writes it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), change)
    return result


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_turns_the_one_into_the_other(before: Manifest, after: Manifest) -> None:
    assert patched(before, merge_patch(before, after)) == after


def project(**spec: Any) -> Project:
    """An AppProject."""
    return Project({"metadata": {"name": "p"}, "spec": spec})


def test_a_project_lists_repositories() -> None:
    allowed = project(sourceRepos=["https://example.com/*", "!https://example.com/secret.git"])
    allowed.check_source("https://example.com/a.git")
    for url in ("https://example.com/secret.git", "https://elsewhere.com/a.git"):
        with pytest.raises(InvalidSpecError, match="is not permitted in project 'p'"):
            allowed.check_source(url)
    with pytest.raises(InvalidSpecError):
        project().check_source("https://example.com/a.git")


def test_a_project_lists_destinations() -> None:
    allowed = project(destinations=[{"server": "*", "namespace": "stag*"}, {"server": "*", "namespace": "!staging-x"}])
    allowed.check_destination(SERVER, "staging")
    for namespace in ("staging-x", "production"):
        with pytest.raises(InvalidSpecError, match="do not match any of the allowed destinations"):
            allowed.check_destination(SERVER, namespace)


def test_a_project_lists_kinds() -> None:
    deployments = Resource("apps/v1", "Deployment", "deployments", True)
    namespaces = Resource("v1", "Namespace", "namespaces", False)
    everywhere = [{"server": "*", "namespace": "*"}]
    project(destinations=everywhere).check_resource(deployments, SERVER, "a")
    with pytest.raises(InvalidSpecError, match="resource :Namespace is not permitted"):
        project(destinations=everywhere).check_resource(namespaces, SERVER, None)
    project(clusterResourceWhitelist=[{"group": "", "kind": "Namespace"}]).check_resource(namespaces, SERVER, None)
    with pytest.raises(InvalidSpecError, match="resource apps:Deployment is not permitted"):
        listed = project(destinations=everywhere, namespaceResourceWhitelist=[{"group": "", "kind": "*"}])
        listed.check_resource(deployments, SERVER, "a")
    with pytest.raises(InvalidSpecError):
        blacklist = [{"group": "apps", "kind": "Deployment"}]
        project(destinations=everywhere, namespaceResourceBlacklist=blacklist).check_resource(deployments, SERVER, "a")


def test_a_project_with_rules_that_are_not_kept_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="syncWindows"):
        project(syncWindows=[{"kind": "deny"}])


def app(**spec: Any) -> Manifest:
    """An Application."""
    return {"spec": {"source": {"repoURL": "x", "path": "p"}, "destination": {"namespace": "n"}, **spec}}


def test_a_spec_is_read_with_argo_cds_defaults() -> None:
    spec = parse(app())
    assert (spec.project, spec.automated, spec.prune, spec.self_heal, spec.retry.limit) == (
        "default",
        False,
        False,
        False,
        0,
    )
    policy = {
        "automated": {"prune": True},
        "syncOptions": ["CreateNamespace=true"],
        "retry": {"limit": 2, "refresh": True, "backoff": {"duration": "2s", "factor": 3, "maxDuration": "1m"}},
    }
    spec = parse(app(syncPolicy=policy))
    assert (spec.automated, spec.prune, spec.self_heal, spec.create_namespace()) == (True, True, False, True)
    assert [spec.retry.delay(attempt) for attempt in (1, 2, 3, 4, 5)] == [2, 6, 18, 54, 60]
    assert not parse(app(syncPolicy={"automated": {"enabled": False}})).automated


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sources": []}, "spec.sources"),
        ({"ignoreDifferences": [{"kind": "Deployment"}]}, "spec.ignoreDifferences"),
        ({"syncPolicy": {"syncOptions": ["Replace=true"]}}, "Replace"),
        ({"syncPolicy": {"managedNamespaceMetadata": {}}}, "spec.syncPolicy.managedNamespaceMetadata"),
        ({"syncPolicy": {"retry": {"refresh": True, "backoff": {"duration": "soon"}}}}, "'soon' is no duration"),
        ({"syncPolicy": {"retry": {"limit": 2}}}, "without refresh: true"),
        ({"source": {"repoURL": "x", "path": "p", "helm": {"fileParameters": []}}}, "spec.source.helm.fileParameters"),
        ({"source": {"repoURL": "x"}}, "spec.source.path"),
    ],
)
def test_a_spec_with_what_is_not_supported_is_refused_by_name(spec: Manifest, said: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        parse(app(**spec))
    assert said in str(refused.value)


def test_durations() -> None:
    assert [clock.seconds(text) for text in ("5s", "3m", "1h30m", "10", "250ms")] == [5, 180, 5400, 10, 0.25]
    assert Retry(limit=1).delay(1) == 5


def test_patterns_of_directory_sources() -> None:
    assert globs.directory("{project.yaml,applicationset.yaml}").match("project.yaml")
    assert not globs.directory("{project.yaml,applicationset.yaml}").match("root.yaml")
    assert globs.directory("*.yaml").match("a/b.yaml")
    assert not globs.directory("a.yaml").match("axyaml")
    with pytest.raises(UnsupportedError):
        globs.directory("{a,b")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a chart."""
    chart = tmp_path / "charts" / "c"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 0.1.0\n")
    (chart / "values.yaml").write_text("a: chart\nb: chart\nc: chart\nd: chart\n")
    (chart / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-{{ .Release.Namespace }}\n"
        "data: {{ toJson .Values }}\n"
    )
    (tmp_path / "first.yaml").write_text("a: first\nb: first\nc: first\n")
    (chart / "second.yaml").write_text("b: second\nc: second\n")
    return tmp_path


def test_helm_values_win_in_argo_cds_order(tree: Path) -> None:
    helm = {
        "releaseName": "release",
        "valueFiles": ["/first.yaml", "second.yaml"],
        "valuesObject": {"c": "object", "d": "object"},
        "parameters": [{"name": "d", "value": "parameter"}],
    }
    (found,) = source.manifests({"path": "charts/c", "helm": helm}, tree, "app", "space")
    assert found["data"] == {"a": "first", "b": "second", "c": "object", "d": "parameter"}
    assert found["metadata"]["name"] == "release-space"


@pytest.mark.parametrize(
    ("given_source", "said"),
    [
        ({"path": "absent"}, "does not exist"),
        ({"path": "../outside"}, "leads outside"),
        ({"path": "charts/c", "helm": {"valueFiles": ["/absent.yaml"]}}, "/absent.yaml is not in the repository"),
        ({"path": "charts/c", "helm": {"valueFiles": ["/../../etc/passwd"]}}, "leads outside"),
        ({"path": "charts", "helm": {"releaseName": "x"}}, "holds no Chart.yaml"),
    ],
)
def test_sources_that_fail_say_why(given_source: Manifest, said: str, tree: Path) -> None:
    with pytest.raises(RenderError, match=said):
        source.manifests(given_source, tree, "app", "space")


def test_a_template_that_fails_is_a_render_error(tree: Path) -> None:
    (tree / "charts" / "c" / "templates" / "bad.yaml").write_text('{{ fail "models[0].name: wrong" }}')
    with pytest.raises(RenderError, match=r"models\[0\].name: wrong"):
        source.manifests({"path": "charts/c"}, tree, "app", "space")


def test_helm_tests_are_left_out_and_other_hooks_refused(tree: Path) -> None:
    hook = tree / "charts" / "c" / "templates" / "hook.yaml"
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\n  annotations: {{helm.sh/hook: {}}}\n"
    hook.write_text(text.format("test"))
    assert [found["kind"] for found in source.manifests({"path": "charts/c"}, tree, "a", "n")] == ["ConfigMap"]
    hook.write_text(text.format("pre-install"))
    with pytest.raises(UnsupportedError, match="pre-install"):
        source.manifests({"path": "charts/c"}, tree, "a", "n")


def test_directories_recurse_only_when_told(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}}}\n"
    (tmp_path / "d" / "below").mkdir(parents=True)
    (tmp_path / "d" / "a.yaml").write_text(text.format("a"))
    (tmp_path / "d" / "below" / "b.yml").write_text(text.format("b"))
    (tmp_path / "d" / "notes.md").write_text("no manifest")
    flat = source.manifests({"path": "d"}, tmp_path, "app", "n")
    assert [found["metadata"]["name"] for found in flat] == ["a"]
    deep = source.manifests({"path": "d", "directory": {"recurse": True}}, tmp_path, "app", "n")
    assert [found["metadata"]["name"] for found in deep] == ["a", "b"]
