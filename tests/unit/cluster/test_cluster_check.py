"""The pre-flight, by a real kubectl: each thing that would stop an installation is named, and nothing is changed."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from cluster import check, secrets
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from tests.support.settings import changed
from tests.unit.cluster.conftest import Sentences
from tests.unit.cluster.front import Front, named


def test_a_cluster_with_everything_is_ready(settings: Settings, front: Front, failures: Sentences) -> None:
    assert failures(settings) == []
    assert front.writes == []


@pytest.mark.parametrize(("minor", "fine"), [("27", False), ("28", True), ("29+", True)])
def test_a_cluster_older_than_1_28_is_refused(
    settings: Settings, front: Front, failures: Sentences, minor: str, fine: bool
) -> None:
    front.minor = minor
    found = failures(settings)
    assert (found == []) is fine
    if not fine:
        assert found == [f"The cluster is Kubernetes v1.{minor}.1; 1.28 is the oldest that will do. Upgrade it first."]


def test_missing_rights_are_named(settings: Settings, front: Front, failures: Sentences) -> None:
    front.denied = {"create clusterroles", "* *"}
    [found] = failures(settings)
    assert "not: create clusterroles.rbac.authorization.k8s.io." in found
    assert "cluster-admin" in found


def test_no_default_storage_class_is_told_with_the_way_out(
    settings: Settings, front: Front, failures: Sentences
) -> None:
    front.classes = [named("slow"), named("fast")]
    [found] = failures(settings)
    assert "kubectl annotate storageclass slow storageclass.kubernetes.io/is-default-class=true" in found
    front.classes = []
    [found] = failures(settings)
    assert "no StorageClass" in found


def test_gpus_that_no_node_has_are_told(settings: Settings, front: Front, failures: Sentences) -> None:
    two = changed(settings, **{"training.gpus": 2})
    front.nodes = [named("a", status={"allocatable": {"nvidia.com/gpu": "1"}}), named("b")]
    [found] = failures(two)
    assert "no node offers more than 1 nvidia.com/gpu" in found
    front.nodes = [named("a", status={"allocatable": {"nvidia.com/gpu": "2"}})]
    assert failures(two) == []


def test_an_unreachable_cluster_stops_the_check(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(Front("http://127.0.0.1:9").kubeconfig(tmp_path / "gone")))
    text = (tmp_path / "gone").read_text()
    (tmp_path / "gone").write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1/"))
    [found] = list(check.of_cluster(settings, Kubectl()))
    assert found.kind == "fail"
    assert "does not answer" in found.text


def test_a_secret_that_only_a_person_can_make_is_told_with_its_command(settings: Settings, failures: Sentences) -> None:
    [found] = failures(settings, {})
    assert "Secret airflow-git in namespace platform" in found
    assert "kubectl -n platform create secret generic airflow-git --from-literal=connection=" in found


def test_without_generation_every_secret_is_told(settings: Settings, failures: Sentences) -> None:
    found = failures(changed(settings, **{"secrets.generate": False}))
    wanted = [each for each in secrets.expected(settings) if not each.optional]
    assert len(found) == len(wanted)
    for each in wanted:
        assert any(f"Secret {each.name} in namespace {each.namespace} " in text for text in found)
        assert any(each.command in text for text in found)


def test_a_secret_without_one_of_its_keys_is_told_and_not_overwritten(
    settings: Settings, kubectl: Kubectl, failures: Sentences
) -> None:
    kubectl.run(
        "--namespace", "monitoring", "create", "secret", "generic", "grafana-admin", "--from-literal=admin-user=me"
    )
    [found] = failures(settings)
    assert "grafana-admin" in found
    assert "lacks admin-password" in found
    states = secrets.look(kubectl, settings, {})
    assert next(state for state in states if state.expected.name == "grafana-admin").made is None


def test_private_repositories_and_s3_need_more_secrets(settings: Settings, failures: Sentences) -> None:
    more = changed(settings, **{"repository.private": True, "mlflow.artifacts": "s3"})
    found = "\n".join(failures(more, {}))
    for name in ("repository in namespace argocd", "git-credentials in namespace staging", "mlflow-server"):
        assert f"Secret {name}" in found
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in found
    given = {"GIT_USERNAME": "u", "GIT_TOKEN": "t", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    assert failures(more, given) == []


def test_what_is_generated_fits_together(settings: Settings, kubectl: Kubectl) -> None:
    states = secrets.look(kubectl, settings, {"GIT_USERNAME": "bot", "GIT_TOKEN": 'to"ken'})
    assert secrets.make(kubectl, states)
    database = kubectl.secret("platform", "postgresql")
    assert database is not None
    assert len(set(database.values())) == 3
    metadata, server = kubectl.secret("platform", "airflow-metadata"), kubectl.secret("platform", "mlflow-server")
    assert metadata == {
        "connection": f"postgresql://airflow:{database['airflow-password']}@postgresql.platform.svc:5432/airflow"
    }
    assert server is not None
    assert f":{database['mlflow-password']}@" in server["MLFLOW_BACKEND_STORE_URI"]
    key = kubectl.secret("platform", "airflow-fernet-key")
    assert key is not None
    assert len(base64.urlsafe_b64decode(key["fernet-key"])) == 32, "what Fernet takes"
    tracking = kubectl.secret("production", "mlflow")
    assert (
        tracking == kubectl.secret("lifecycle", "mlflow") == {"MLFLOW_TRACKING_URI": "http://mlflow.platform.svc:5000"}
    )
    # A second time there is nothing to do, and nothing changes.
    assert secrets.make(kubectl, secrets.look(kubectl, settings, {})) == []
    assert kubectl.secret("platform", "postgresql") == database


def test_the_repository_must_hold_what_lies_here(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "ROOT", tmp_path / "fork")

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--bare", "remote.git")
    git("clone", "remote.git", "fork")
    here = changed(settings, **{"repository.url": f"file://{tmp_path}/remote.git", "images.registry": "example.com/ml"})
    [found] = check._repository(here)
    assert "has no branch main" in found.text
    (tmp_path / "fork" / "argocd-apps").mkdir()
    (tmp_path / "fork" / "argocd-apps" / "root.yaml").write_text("a: 1\n")
    git("-C", "fork", "add", ".")
    git("-C", "fork", "commit", "-m", "first")
    git("-C", "fork", "push", "origin", "HEAD:main")
    assert [found.kind for found in check._repository(here)] == ["ok"]
    (tmp_path / "fork" / "argocd-apps" / "root.yaml").write_text("a: 2\n")
    [found] = check._repository(here)
    assert found.kind == "fail"
    assert "not committed" in found.text
    git("-C", "fork", "commit", "-a", "-m", "second")
    [found] = check._repository(here)
    assert found.kind == "note"
    assert "what is there is installed" in found.text
    [found] = check._repository(changed(here, **{"repository.url": f"file://{tmp_path}/none.git"}))
    assert "cannot be read from here" in found.text
