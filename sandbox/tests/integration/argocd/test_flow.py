"""What a person sees of Argo CD, from root.yaml to a rollback. The tests share a cluster, each sets its own state."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml

from sandbox.tests.support import ROOT
from sandbox.tests.support.argocd import REMOTE, Cluster, Manifest

pytestmark = pytest.mark.timeout(120)


def conditions(manifest: Manifest) -> dict[str, str]:
    """Conditions of an Application: type and message."""
    return {c["type"]: c["message"] for c in (manifest.get("status") or {}).get("conditions") or []}


def application(name: str, **source: object) -> Manifest:
    """An Application that a person applies."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {
            "project": "default",
            "source": {"repoURL": REMOTE, "targetRevision": "main", **source},
            "destination": {"name": "in-cluster", "namespace": name},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
            },
        },
    }


def test_the_root_leads_to_one_application_for_each_of_the_clusters_environments(cluster: Cluster) -> None:
    cluster.until(lambda: "status" in cluster.app(), "the ApplicationSet's Application is there")
    root = cluster.live(cluster.fork.git("rev-parse", "HEAD"), "yolo-lifecycle")
    kinds = {entry["kind"]: entry for entry in root["status"]["resources"]}
    assert set(kinds) == {"AppProject", "ApplicationSet"}
    assert root["status"]["health"]["status"] == "Healthy"
    app = cluster.app()
    assert app["metadata"]["ownerReferences"][0]["name"] == "model-servers"
    assert app["spec"]["source"]["helm"]["releaseName"] == "detector"
    assert app["spec"]["destination"] == {"name": "in-cluster", "namespace": "staging"}
    assert not cluster.app("production-detector"), "no cluster Secret names production"
    assert cluster.api.get("Namespace", "staging"), "CreateNamespace=true"


def test_a_commit_is_rolled_out_on_refresh_and_told_in_argo_cds_fields(cluster: Cluster) -> None:
    commit = cluster.fork.bump(1)
    status = cluster.live(commit)["status"]
    assert status["operationState"]["syncResult"]["revision"] == commit
    operation = status["operationState"]
    assert operation["startedAt"] <= operation["finishedAt"] <= status["reconciledAt"], "compared again after the sync"
    assert {r["kind"]: r["status"] for r in status["operationState"]["syncResult"]["resources"]} == {
        "ServiceAccount": "Synced",
        "Service": "Synced",
        "Deployment": "Synced",
    }
    assert status["history"][-1]["revision"] == commit
    assert status["summary"]["images"] == ["example.com/box:1"]
    assert status["sourceType"] == "Helm"
    assert status["sync"]["comparedTo"]["source"]["path"] == "charts/triton"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["reconciledAt"])
    (deployment,) = [entry for entry in status["resources"] if entry["kind"] == "Deployment"]
    assert deployment == {
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
        "namespace": "staging",
        "name": "detector-digits",
        "status": "Synced",
    }, "Argo CD 3 writes no health here"
    live = cluster.api.get("Deployment", "detector-digits", "staging")
    tracking = live["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracking == "staging-detector:apps/Deployment:staging/detector-digits"
    env = {e["name"]: e["value"] for e in live["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env == {"VERSION": "1", "REPOSITORY": REMOTE}, "values files, then the ApplicationSet's own values"


def test_what_somebody_changes_by_hand_is_put_back(cluster: Cluster) -> None:
    cluster.live(cluster.fork.bump(2))
    cluster.api.patch("Deployment", "detector-digits", "staging", {"spec": {"replicas": 0}})
    cluster.api.delete("Service", "detector-digits", "staging")

    def healed() -> bool:
        deployment = cluster.api.get("Deployment", "detector-digits", "staging")
        return deployment["spec"]["replicas"] == 1 and bool(cluster.api.get("Service", "detector-digits", "staging"))

    cluster.until(healed, "the Deployment has its replica and the Service is back")


def test_a_rollout_that_gets_nowhere_is_degraded_until_git_goes_back(cluster: Cluster) -> None:
    cluster.live(cluster.fork.bump(3))
    status = cluster.live(cluster.fork.bump(13), health="Degraded")["status"]
    assert status["sync"]["status"] == "Synced"
    assert status["resourceHealthSource"] == "appTree"
    assert set(status["health"]) == {"status", "lastTransitionTime"}, "the reason is with the Deployment"
    conditions = cluster.api.get("Deployment", "detector-digits", "staging")["status"]["conditions"]
    assert "ProgressDeadlineExceeded" in [condition["reason"] for condition in conditions]
    cluster.fork.git("revert", "--no-edit", "HEAD")
    cluster.live(cluster.fork.push("revert"))


def test_what_git_no_longer_has_is_pruned(cluster: Cluster) -> None:
    cluster.live(cluster.fork.bump(4))
    status = cluster.live(cluster.fork.bump(None))["status"]
    assert [entry["kind"] for entry in status["resources"]] == ["ServiceAccount"]
    cluster.until(lambda: not cluster.api.get("Deployment", "detector-digits", "staging"), "the Deployment is gone")
    assert not cluster.api.get("Service", "detector-digits", "staging")


def test_what_cannot_be_rendered_changes_nothing_and_says_why(cluster: Cluster) -> None:
    cluster.live(cluster.fork.bump(5))
    cluster.fork.write("argocd-apps/staging/detector/values.yaml", "models: [}\n")
    cluster.refresh()
    app = cluster.app()
    assert app["status"]["sync"]["status"] == "Unknown"
    assert "/argocd-apps/staging/detector/values.yaml cannot be read" in conditions(app)["ComparisonError"]
    assert cluster.api.get("Deployment", "detector-digits", "staging"), "what is live stays live"
    app = cluster.live(cluster.fork.bump(50))
    assert conditions(app) == {}


def test_when_git_is_away_the_last_state_stays_and_a_condition_says_so(cluster: Cluster) -> None:
    commit = cluster.fork.bump(6)
    cluster.live(commit)
    away = cluster.fork.remote.with_name("away.git")
    cluster.fork.remote.rename(away)
    try:
        cluster.refresh()
        app = cluster.app()
    finally:
        away.rename(cluster.fork.remote)
    assert f"{REMOTE} cannot be fetched" in conditions(app)["ComparisonError"]
    assert app["status"]["sync"]["status"] == "Synced"
    assert app["status"]["sync"]["revision"] == commit
    cluster.refresh()
    assert conditions(cluster.app()) == {}


def test_a_sync_that_the_api_refuses_is_retried_and_the_next_try_takes_the_new_commit(cluster: Cluster) -> None:
    cluster.live(cluster.fork.bump(7))
    values = cluster.fork.clone / "argocd-apps" / "staging" / "environment.yaml"
    before = values.read_text()
    cluster.fork.write("argocd-apps/staging/environment.yaml", "hostNetwork: true\n")
    cluster.refresh()

    def failing() -> bool:
        operation = cluster.app()["status"]["operationState"]
        return operation["phase"] == "Running" and operation.get("retryCount", 0) >= 1

    cluster.until(failing, "the operation waits for a retry", lambda: cluster.app()["status"]["operationState"])
    app = cluster.app()
    assert "hostNetwork" in app["status"]["operationState"]["message"]
    assert "Retrying attempt #1" in app["status"]["operationState"]["message"]
    assert app["status"]["sync"]["status"] == "OutOfSync"
    commit = cluster.fork.write("argocd-apps/staging/environment.yaml", before)
    operation = cluster.live(commit)["status"]["operationState"]
    assert operation["retryCount"] >= 1, "the same operation, which Git's newer revision ended well"


def test_a_commit_that_changes_no_object_is_synced_without_an_operation(cluster: Cluster) -> None:
    former = cluster.fork.bump(70)
    cluster.live(former)
    commit = cluster.fork.write("README.md", "another file")
    cluster.refresh()
    status = cluster.app()["status"]
    assert (status["sync"]["status"], status["sync"]["revision"]) == ("Synced", commit)
    assert status["operationState"]["syncResult"]["revision"] == former


def evaluated(cluster: Cluster, name: str = "model-servers") -> None:
    """Have an ApplicationSet read Git and the clusters' Secrets again, and wait until it has."""
    mark = "argocd.argoproj.io/application-set-refresh"
    cluster.api.patch("ApplicationSet", name, "argocd", {"metadata": {"annotations": {mark: "true"}}})
    cluster.until(
        lambda: mark not in (cluster.api.get("ApplicationSet", name, "argocd")["metadata"].get("annotations") or {}),
        f"{name} is evaluated",
    )


def test_a_label_on_the_clusters_secret_brings_an_environment_and_nothing_but_a_person_takes_it_away(
    cluster: Cluster,
) -> None:
    cluster.fork.bump(8, "production")
    secret = {"metadata": {"labels": {"yolo-lifecycle/environment-production": "true"}}}
    cluster.api.patch("Secret", "in-cluster", "argocd", secret)

    def healthy() -> bool:
        status = cluster.app("production-detector").get("status") or {}
        return bool((status.get("health") or {}).get("status") == "Healthy" and status["sync"]["status"] == "Synced")

    cluster.until(healthy, "production is served")
    before = cluster.api.get("Deployment", "detector-digits", "production")["metadata"]["uid"]
    secret["metadata"]["labels"]["yolo-lifecycle/environment-production"] = None  # type: ignore[assignment]
    cluster.api.patch("Secret", "in-cluster", "argocd", secret)
    evaluated(cluster)
    assert healthy()
    shutil.rmtree(cluster.fork.clone / "argocd-apps" / "production" / "detector")
    cluster.fork.push("the folder is lost")
    evaluated(cluster)
    cluster.refresh("production-detector")
    app = cluster.app("production-detector")
    assert "ComparisonError" in conditions(app)
    assert "finalizers" not in app["metadata"], "even the Application's loss would stop nothing"
    assert cluster.api.get("Deployment", "detector-digits", "production")["metadata"]["uid"] == before
    # What `make cluster-remove` does.
    finalizers = {"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}
    cluster.api.patch("Application", "production-detector", "argocd", finalizers)
    cluster.api.delete("Application", "production-detector", "argocd")
    cluster.until(lambda: not cluster.app("production-detector"), "the Application is gone")
    assert not cluster.api.get("Deployment", "detector-digits", "production")
    assert cluster.app(), "the other environment is untouched"


@pytest.mark.parametrize(("policy", "left"), [("sync", False), ("create-update", True)])
def test_the_policy_decides_whether_an_application_that_nothing_generates_is_deleted(
    policy: str, left: bool, cluster: Cluster
) -> None:
    spec = application("listed", path="argocd-apps", directory={"include": "none"})["spec"]
    appset = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "listed", "namespace": "argocd"},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "syncPolicy": {"applicationsSync": policy},
            "generators": [{"list": {"elements": [{"name": "listed"}]}}],
            "template": {"metadata": {"name": "{{ .name }}"}, "spec": spec},
        },
    }
    cluster.api.apply(appset)
    try:
        cluster.until(lambda: bool(cluster.app("listed")), "it is generated")
        cluster.api.patch("ApplicationSet", "listed", "argocd", {"spec": {"generators": [{"list": {"elements": []}}]}})
        evaluated(cluster, "listed")
        # Its finalizer may still be at work.
        deleted = "deletionTimestamp" in cluster.app("listed").get("metadata", {"deletionTimestamp": ""})
        assert deleted is not left
    finally:
        cluster.api.delete("ApplicationSet", "listed", "argocd")
    cluster.until(lambda: not cluster.app("listed"), "it goes with its owner")


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("kustomized", {"path": "kustomized"}, "kustomization"),
        ("remote", {"path": "charts/triton", "chart": "triton"}, "spec.source.chart is not supported"),
        ("nowhere", {"path": "no/such/folder"}, "app path does not exist"),
        ("branchless", {"path": "charts/triton", "targetRevision": "nope"}, "no branch, tag or commit 'nope'"),
        ("hooked", {"path": "charts/triton", "plugin": {}}, "spec.source.plugin is not supported"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    name: str, source: dict[str, object], said: str, cluster: Cluster
) -> None:
    cluster.fork.write("kustomized/kustomization.yaml", "resources: []\n")
    cluster.api.apply(application(name, **source))
    try:
        cluster.until(lambda: bool(conditions(cluster.app(name))), "a condition", lambda: cluster.app(name))
        assert said in " ".join(conditions(cluster.app(name)).values())
        assert cluster.app(name)["status"]["sync"]["status"] == "Unknown"
    finally:
        cluster.api.delete("Application", name, "argocd")
    cluster.until(lambda: not cluster.app(name), "the Application is gone")


def test_a_generator_that_is_not_supported_is_an_error_of_the_application_set(cluster: Cluster) -> None:
    appset = yaml.safe_load((ROOT / "argocd-apps" / "applicationset.yaml").read_text())
    appset["metadata"] = {"name": "other", "namespace": "argocd"}
    appset["spec"]["generators"] = [{"scmProvider": {"github": {"organization": "your-org"}}}]
    cluster.api.apply(appset)

    def failed() -> dict[str, str]:
        status = cluster.api.get("ApplicationSet", "other", "argocd").get("status") or {}
        return {c["type"]: c["message"] for c in status.get("conditions") or [] if c["status"] == "True"}

    try:
        cluster.until(lambda: "ErrorOccurred" in failed(), "an error is told", failed)
        assert "'scmProvider' is not supported" in failed()["ErrorOccurred"]
    finally:
        cluster.api.delete("ApplicationSet", "other", "argocd")


def test_a_project_keeps_its_applications_to_what_it_allows(cluster: Cluster) -> None:
    cluster.fork.write(
        "forbidden/a.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: forbidden\nstringData: {a: b}\n"
    )
    app = application("forbidden", path="forbidden")
    app["spec"] |= {"project": "yolo-lifecycle"}
    cluster.api.apply(app)
    try:
        cluster.until(lambda: bool(conditions(cluster.app("forbidden"))), "the namespace is refused")
        assert (
            "do not match any of the allowed destinations" in conditions(cluster.app("forbidden"))["InvalidSpecError"]
        )
        cluster.api.patch("Application", "forbidden", "argocd", {"spec": {"destination": {"namespace": "staging"}}})

        def refused() -> bool:
            operation = (cluster.app("forbidden").get("status") or {}).get("operationState") or {}
            return operation.get("phase") == "Failed"

        cluster.until(refused, "the kind is refused", lambda: cluster.app("forbidden"))
        message = cluster.app("forbidden")["status"]["operationState"]["message"]
        assert message.startswith("resource :Secret is not permitted in project yolo-lifecycle")
        assert not cluster.api.get("Secret", "forbidden", "staging")
    finally:
        cluster.api.delete("Application", "forbidden", "argocd")


def test_a_directory_is_applied_by_waves_and_goes_with_its_application(cluster: Cluster) -> None:
    config = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n"
        "  annotations: {{argocd.argoproj.io/sync-wave: '{}'}}\n"
    )
    cluster.fork.write("waves/a.yaml", config.format("second", 2) + "---\n" + config.format("first", -1))
    cluster.fork.write("waves/ignored.yaml", config.format("ignored", 0))
    cluster.api.apply(application("waves", path="waves", directory={"exclude": "ign*"}))
    try:
        cluster.until(lambda: bool(cluster.api.get("ConfigMap", "second", "waves")), "both are applied")
        app = cluster.live(cluster.fork.git("rev-parse", "HEAD"), "waves")
        assert [r["name"] for r in app["status"]["operationState"]["syncResult"]["resources"]] == ["first", "second"]
        assert not cluster.api.get("ConfigMap", "ignored", "waves")
    finally:
        cluster.api.delete("Application", "waves", "argocd")
    cluster.until(lambda: not cluster.app("waves"), "the finalizer is done")
    assert not cluster.api.get("ConfigMap", "first", "waves")


def test_nothing_is_removed_at_once_unless_the_application_allows_it(cluster: Cluster) -> None:
    cluster.fork.write("few/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n")
    cluster.api.apply(application("few", path="few"))
    try:
        cluster.until(lambda: bool(cluster.api.get("ConfigMap", "a", "few")), "it is applied")
        (cluster.fork.clone / "few" / "a.yaml").unlink()
        cluster.fork.write("few/notes.md", "nothing to apply")
        cluster.refresh("few")
        app = cluster.app("few")
        assert "allowEmpty" in conditions(app)["SyncError"]
        assert app["status"]["sync"]["status"] == "OutOfSync"
        assert cluster.api.get("ConfigMap", "a", "few")
        cluster.api.patch("Application", "few", "argocd", {"spec": {"syncPolicy": {"automated": {"allowEmpty": True}}}})
        cluster.until(lambda: not cluster.api.get("ConfigMap", "a", "few"), "now it is pruned")
    finally:
        cluster.api.delete("Application", "few", "argocd")


def test_an_object_that_two_applications_claim_is_told(cluster: Cluster) -> None:
    cluster.fork.write("shared/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: argocd}\n")
    first, second = application("first", path="shared"), application("second", path="shared")
    second["spec"]["syncPolicy"] = {}
    cluster.api.apply(first)
    try:
        cluster.until(lambda: bool(cluster.api.get("ConfigMap", "a", "argocd")), "it is applied")
        cluster.api.apply(second)
        cluster.until(lambda: bool(conditions(cluster.app("second"))), "the other one says so")
        app = cluster.app("second")
        assert conditions(app)["SharedResourceWarning"] == "ConfigMap/a is also managed by first"
        assert app["status"]["sync"]["status"] == "OutOfSync"
        assert "operationState" not in app["status"], "nothing is synced unless it is automated"
    finally:
        cluster.api.delete("Application", "second", "argocd")
        cluster.api.delete("Application", "first", "argocd")
    cluster.until(lambda: not cluster.api.get("ConfigMap", "a", "argocd"), "its owner took it along")
