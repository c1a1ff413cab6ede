"""The pre-flight, by a real kubectl: each thing that would stop an installation is named, and nothing is changed."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster import check, existing, mlflow, secrets
from cluster.expected import Data
from cluster.findings import Finding
from cluster.kubectl import Kubectl
from cluster.repository import Repository, RepositoryError, reader, remembered
from cluster.settings import ROOT, Settings
from tests.support.settings import changed, served
from tests.unit.cluster.conftest import Sentences
from tests.unit.cluster.front import Front, named, send


def test_a_cluster_with_everything_is_ready(settings: Settings, front: Front, failures: Sentences) -> None:
    assert failures(settings) == []
    assert front.writes == []


@pytest.mark.parametrize(("minor", "fine"), [("27", False), ("28", True), ("29+", True)])
def test_a_cluster_older_than_1_28_is_refused(
    settings: Settings, front: Front, failures: Sentences, minor: str, fine: bool
) -> None:
    front.minor = minor
    found = failures(served(settings, "statefulset"))
    assert (found == []) is fine
    if not fine:
        assert found == [f"The cluster is Kubernetes v1.{minor}.1; 1.28 is the oldest that will do. Upgrade it first."]


def test_cloudnativepg_wants_a_newer_one(settings: Settings, front: Front, failures: Sentences) -> None:
    front.minor = "28"
    [found] = failures(settings)
    assert 'wants Kubernetes 1.29 or later. Upgrade, or set platform.postgresql = "statefulset"' in found


def test_the_charts_want_what_the_check_wants() -> None:
    for chart in (ROOT / "charts").glob("*/Chart.yaml"):
        assert f'kubeVersion: ">={check.OLDEST[0]}.{check.OLDEST[1]}.0-0"\n' in chart.read_text(), chart


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
    roles = {name: kubectl.secret("platform", f"postgresql-{name}") or {} for name in ("airflow", "mlflow")}
    assert [roles[name]["username"] for name in roles] == ["airflow", "mlflow"]
    database = {f"{name}-password": roles[name]["password"] for name in roles}
    assert len(set(database.values())) == 2
    metadata, server = kubectl.secret("platform", "airflow-metadata"), kubectl.secret("platform", "mlflow-server")
    assert metadata == {
        "connection": f"postgresql://airflow:{database['airflow-password']}@postgresql-rw.platform.svc:5432/airflow"
    }
    assert server is not None
    assert f":{database['mlflow-password']}@" in server["MLFLOW_BACKEND_STORE_URI"]
    key = kubectl.secret("platform", "airflow-fernet-key")
    assert key is not None
    assert len(base64.urlsafe_b64decode(key["fernet-key"])) == 32, "what Fernet takes"
    account = kubectl.secret("platform", "mlflow-auth") or {}
    account = {key: account[key] for key in mlflow.AUTH_KEYS}
    tracking = kubectl.secret("production", "mlflow")
    assert (
        tracking
        == kubectl.secret("lifecycle", "mlflow")
        == {
            "MLFLOW_TRACKING_URI": "http://mlflow.platform.svc:5000",
            "MLFLOW_TRACKING_USERNAME": account["MLFLOW_AUTH_ADMIN_USERNAME"],
            "MLFLOW_TRACKING_PASSWORD": account["MLFLOW_AUTH_ADMIN_PASSWORD"],
        }
    )
    airflow = json.loads((kubectl.secret("platform", "airflow-mlflow") or {})["connection"])
    assert (airflow["login"], airflow["password"]) == tuple(account.values())[:2]
    assert len(account["MLFLOW_AUTH_ADMIN_PASSWORD"]) >= 12, "what MLflow takes"
    # A second time there is nothing to do, and nothing changes.
    assert secrets.make(kubectl, secrets.look(kubectl, settings, {})) == []
    assert kubectl.secret("platform", "postgresql-airflow") == roles["airflow"]


def test_alerts_reach_the_webhook_and_the_one_that_fires_always_reaches_nobody(settings: Settings) -> None:
    (found,) = (each for each in secrets.expected(settings) if each.name == "alertmanager-config")
    assert found.optional and found.make({}, {}) is None
    url = "https://hooks.example.com/a"
    content = json.loads((found.make({}, {"ALERTS_WEBHOOK_URL": url}) or {})["alertmanager.yaml"])
    urls = {each["name"]: [to["api_url"] for to in each.get("slack_configs", [])] for each in content["receivers"]}
    assert urls[content["route"]["receiver"]] == [url]
    (watchdog,) = content["route"]["routes"]
    assert watchdog["matchers"] == ['alertname="Watchdog"'] and urls[watchdog["receiver"]] == []
    without = changed(settings, **{"platform.monitoring": False})
    assert "alertmanager-config" not in {each.name for each in secrets.expected(without)}


def test_a_secret_made_by_the_printed_command_is_one_that_argo_cd_finds(settings: Settings, kubectl: Kubectl) -> None:
    def failures(settings: Settings) -> list[str]:
        return [found.text for found in check._secrets(settings, kubectl, {}) if found.kind == "fail"]

    private = changed(settings, **{"repository.private": True, "secrets.generate": False})
    [expected] = [each for each in secrets.expected(private) if each.name == "repository"]
    make, label = expected.command.split(" && ")
    filled = make.replace("username=…", "username=u").replace("password=…", "password=t")
    kubectl.run(*filled.removeprefix("kubectl ").split())
    [found] = [text for text in failures(private) if text.startswith("Secret repository ")]
    assert f"lacks the label by which it is found. Give it: {label}" in found
    kubectl.run(*label.removeprefix("kubectl ").split())
    assert not [text for text in failures(private) if text.startswith("Secret repository ")]
    other = changed(private, **{"repository.url": "https://git.example.com/team/other.git"})
    [found] = [text for text in failures(other) if text.startswith("Secret repository ")]
    assert "says another url than cluster/settings.toml" in found


def test_what_only_reads_gets_a_token_that_only_reads(settings: Settings, kubectl: Kubectl) -> None:
    private = changed(settings, **{"repository.private": True, "images.pull_secret": "registry"})
    pushes = {"GIT_USERNAME": "bot", "GIT_TOKEN": "push"}

    def made(variables: dict[str, str]) -> dict[tuple[str, str], Data]:
        states = secrets.look(kubectl, private, variables)
        return {(state.expected.namespace, state.expected.name): state.made or {} for state in states}

    apart = made(
        {**pushes, "GIT_READ_USERNAME": "reader", "GIT_READ_TOKEN": "read", "IMAGES_USERNAME": "i", "IMAGES_TOKEN": "p"}
    )
    assert apart["argocd", "repository"]["password"] == apart["production", "git-credentials"]["password"] == "read"
    assert json.loads(apart["platform", "airflow-git"]["connection"])["password"] == "push"
    for namespace in ("platform", "lifecycle", "staging", "production"):
        [(host, login)] = json.loads(apart[namespace, "registry"][".dockerconfigjson"])["auths"].items()
        assert (host, base64.b64decode(login["auth"])) == ("ghcr.io", b"i:p")
    one = made(pushes)
    assert one["argocd", "repository"]["password"] == "push"
    assert one["platform", "registry"] == {}
    notes = [found.text for found in check._secrets(private, kubectl, pushes) if found.kind == "note"]
    assert any("the token that pushes" in text for text in notes)


@pytest.fixture
def dumb() -> Iterator[str]:
    """The URL of a private repository that git's oldest protocol can list."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Basic {base64.b64encode(b'reader:read').decode()}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = f"{'b' * 40}\trefs/heads/main\n" if "info/refs" in self.path else "ref: refs/heads/main\n"
            send(self, 200, body.encode(), "text/plain")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/fork.git"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GIT_READ_USERNAME": "reader", "GIT_READ_TOKEN": "read"}, ""),
        ({"GIT_USERNAME": "reader", "GIT_TOKEN": "read"}, ""),
        ({"GIT_USERNAME": "reader", "GIT_TOKEN": "wrong"}, "Are GIT_READ_USERNAME and GIT_READ_TOKEN"),
        ({}, "export GIT_USERNAME and GIT_TOKEN"),
    ],
)
def test_a_private_repository_is_read_with_the_credentials_that_are_given(
    settings: Settings, dumb: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    private = changed(settings, **{"repository.url": dumb, "repository.private": True})
    if said:
        with pytest.raises(RepositoryError, match=said):
            Repository(private, variables).commit()
    else:
        assert Repository(private, variables).commit() == "b" * 40


def test_a_second_run_reads_it_with_what_argo_cd_was_given(settings: Settings) -> None:
    class Cluster(Kubectl):
        def secret(self, namespace: str, name: str) -> dict[str, str] | None:
            assert (namespace, name) == ("argocd", "repository")
            return {"username": "reader", "password": "read"}

    private = changed(settings, **{"repository.private": True})
    assert reader(remembered(private, Cluster(), {})) == ("reader", "read")
    given = {"GIT_USERNAME": "bot", "GIT_TOKEN": "push"}
    assert remembered(private, Cluster(), given) == given
    assert remembered(settings, Cluster(), {}) == {}


def argocd_server(namespace: str = "argocd", **annotations: str) -> dict[str, Any]:
    """A Deployment of Argo CD's API server, without pods."""
    return deployment("argocd-server", namespace, "quay.io/argoproj/argocd:v3", annotations)


def deployment(name: str, namespace: str, image: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """A Deployment without pods."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    return {"metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}}, "spec": spec}


OPERATOR = deployment("operator", "monitoring", "quay.io/prometheus-operator/prometheus-operator:v0.80")


@pytest.mark.parametrize(
    ("platform", "there", "said"),
    [
        ({}, [argocd_server(**{"yolo-lifecycle/installed-by": "cluster-up"})], []),
        ({}, [argocd_server()], ["Namespace argocd has an Argo CD that cluster-up did not install"]),
        ({}, [argocd_server("platform")], ["Namespace platform has an Argo CD"]),
        ({"argocd": False}, [], ["the cluster has none"]),
        ({"argocd": False}, [argocd_server("platform")], ["namespace platform has one"]),
        ({"argocd": False}, [argocd_server()], ["waves of Applications", "label secret in-cluster"]),
        ({}, [OPERATOR], ["deployment operator in namespace monitoring"]),
        ({"monitoring": False}, [OPERATOR], []),
    ],
)
def test_what_is_there_already_is_never_taken_over(
    settings: Settings, platform: dict[str, bool], there: list[Any], said: list[str]
) -> None:
    class Cluster(Kubectl):
        def list(self, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
            return there if kind == "deployments.apps" else []

        def get(self, kind: str, name: str, namespace: str = "") -> None:
            """Nothing else."""

    given = changed(settings, **{f"platform.{key}": value for key, value in platform.items()})
    found = [each.text for each in existing.findings(given, Cluster()) if each.kind == "fail"]
    assert len(found) == len(said), found
    for text, words in zip(found, said, strict=True):
        assert words in text


def test_an_argo_cd_of_others_that_is_told_of_the_cluster_will_do(
    settings: Settings, kubectl: Kubectl, front: Front
) -> None:
    def failures() -> list[str]:
        given = changed(settings, **{"platform.argocd": False})
        return [each.text for each in existing.findings(given, kubectl) if each.kind == "fail"]

    front.call("POST", "/apis/apps/v1/namespaces/argocd/deployments", argocd_server())
    maps = "/api/v1/namespaces/argocd/configmaps"
    health = {"resource.customizations.health.argoproj.io_Application": "hs = {}"}
    front.call("POST", maps, {"metadata": {"name": "argocd-cm"}, "data": health})
    policy = {"applicationsetcontroller.policy": "sync"}
    front.call("POST", maps, {"metadata": {"name": "argocd-cmd-params-cm"}, "data": policy})
    outranked, unknown = failures()
    assert "outranks the ApplicationSet's create-update" in outranked
    for command in unknown.partition("Tell it: ")[2].split(" && "):
        kubectl.run(*shlex.split(command)[1:])
    override = {"data": {"applicationsetcontroller.enable.policy.override": "true"}}
    front.call("PATCH", f"{maps}/argocd-cmd-params-cm", override)
    assert failures() == []
    for name in ("argocd-cm", "argocd-cmd-params-cm"):
        front.call("DELETE", f"{maps}/{name}")


def test_the_repository_must_hold_what_lies_here(settings: Settings, tmp_path: Path) -> None:
    def look(settings: Settings) -> list[Finding]:
        return list(check._repository(settings, Repository(settings, {}, tmp_path / "fork")))

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--bare", "remote.git")
    git("clone", "remote.git", "fork")
    here = changed(settings, **{"repository.url": f"file://{tmp_path}/remote.git", "images.registry": "example.com/ml"})
    [found] = look(here)
    assert "has no branch main" in found.text
    (tmp_path / "fork" / "argocd-apps").mkdir()
    (tmp_path / "fork" / "argocd-apps" / "root.yaml").write_text("a: 1\n")
    git("-C", "fork", "add", ".")
    git("-C", "fork", "commit", "-m", "first")
    git("-C", "fork", "push", "origin", "HEAD:main")
    assert Repository(here, {}, tmp_path / "fork").apps() == set()
    assert [found.kind for found in look(here)] == ["ok"]
    (tmp_path / "fork" / "argocd-apps" / "root.yaml").write_text("a: 2\n")
    [found] = look(here)
    assert found.kind == "fail"
    assert "not committed" in found.text
    git("-C", "fork", "commit", "-a", "-m", "second")
    [found] = look(here)
    assert found.kind == "note"
    assert "what is there is installed" in found.text
    [found] = look(changed(here, **{"repository.url": f"file://{tmp_path}/none.git"}))
    assert "cannot be read from here" in found.text
    # What another pushed is fetched, and told by its folders.
    git("clone", "remote.git", "other")
    (tmp_path / "other" / "argocd-apps" / "staging" / "detector").mkdir(parents=True)
    (tmp_path / "other" / "argocd-apps" / "staging" / "detector" / "values.yaml").write_text("models: []\n")
    git("-C", "other", "add", ".")
    git("-C", "other", "commit", "-m", "a detector")
    git("-C", "other", "push", "origin", "HEAD:main")
    assert Repository(here, {}, tmp_path / "fork").apps() == {"staging/detector"}
