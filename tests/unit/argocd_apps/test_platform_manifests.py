"""The platform's Applications, values and charts hold together, and every Secret that they name is checked for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from mlflow.server.security_utils import is_allowed_host_header

from cluster import mlflow, secrets, up
from cluster.settings import ROOT, load
from tests.support import kubernetes_schemas
from tests.support.settings import changed

Object = dict[str, Any]
APPS = ROOT / "argocd-apps"
PLATFORM = sorted((APPS / "platform").glob("*.yaml"))
APPLICATIONS = [path for path in PLATFORM if path.name != "project.yaml"]
OURS = ("foundation", "postgresql", "mlflow")
VERSIONS = ("1.28", "1.31", "1.34")
# Without S3 there is nothing to back up to.
WITHOUT = "platform/barman-cloud.yaml"
# Made by the chart or by Argo CD itself, not by a person.
NOT_EXPECTED = {"argocd-initial-admin-secret", "argocd-redis", "argocd-secret", "alertmanager", "in-cluster"}


def read(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text())


def sources(application: Object) -> list[Object]:
    """All sources of an Application."""
    spec = application["spec"]
    return spec["sources"] if "sources" in spec else [spec["source"]]


def render(chart: str, values: Object | None = None) -> list[Object]:
    """Objects of one of our charts, with the platform's values and others over them."""
    content = read(ROOT / "charts" / "platform" / f"{chart}.yaml")
    for key, value in (values or {}).items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    rendered = helm_python.Chart.load(str(ROOT / "charts" / chart)).render(
        values=content, name=chart, namespace="platform"
    )
    return [found for text in rendered.values() for found in yaml.safe_load_all(text) if found]


def every(of: Any) -> list[Any]:
    """A value and everything below it."""
    if isinstance(of, dict):
        return [of, *(each for value in of.values() for each in every(value))]
    return [of, *(each for value in of for each in every(value))] if isinstance(of, list) else [of]


def one(objects: list[Object], kind: str, name: str = "") -> Object:
    """The object of that kind and name."""
    [found] = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    return found


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_each_application_is_pinned_and_may_do_what_it_does(path: Path) -> None:
    application, project = read(path), read(APPS / "platform" / "project.yaml")
    assert application["metadata"]["name"] == path.stem
    assert application["spec"]["project"] == project["metadata"]["name"]
    branch, url = load().text("repository.branch"), load().text("repository.url")
    for source in sources(application):
        assert source["repoURL"] in project["spec"]["sourceRepos"]
        if "chart" in source:
            assert re.fullmatch(r"\d+\.\d+\.\d+", source["targetRevision"]), (
                "a chart of others is pinned to one version"
            )
        else:
            assert (source["repoURL"], source["targetRevision"]) == (url, branch)
        for name in source.get("helm", {}).get("valueFiles", []):
            assert (ROOT / name.removeprefix("$values").lstrip("/")).is_file()
        if "path" in source:
            assert (ROOT / source["path"] / "Chart.yaml").is_file()
    allowed = {entry["namespace"] for entry in project["spec"]["destinations"]}
    assert application["spec"]["destination"]["namespace"] in allowed
    policy = application["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    # Without end, each time with what Git says then; and neither a lost file nor a setting stops it.
    assert (policy["retry"]["limit"], policy["retry"]["refresh"]) == (-1, True)
    annotations = application["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
    assert annotations["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous"
    assert "ServerSideApply=true" in policy["syncOptions"]


def test_the_root_brings_the_platform_and_the_model_servers_and_no_environment() -> None:
    root = read(APPS / "platform.yaml")
    source = root["spec"]["source"]
    assert source["directory"] == {"recurse": True, "include": "{platform/*.yaml,root.yaml}", "exclude": WITHOUT}
    assert ROOT / source["path"] == APPS
    assert up.applications(load())[-1] == read(APPS / "root.yaml")["metadata"]["name"]
    # Else the ApplicationSet would take the platform for an environment.
    assert list((APPS / "platform").glob("*/values.yaml")) == []


def test_the_sandbox_s_root_does_not_know_the_platform() -> None:
    included = read(APPS / "root.yaml")["spec"]["source"]["directory"]["include"]
    assert included == "{project.yaml,applicationset.yaml}"


def test_argo_cd_waits_for_health_between_waves() -> None:
    values = read(ROOT / "charts" / "platform" / "argo-cd.yaml")
    check = values["configs"]["cm"]["resource.customizations.health.argoproj.io_Application"]
    # Argo CD 3.5 calls an Application Healthy whose first sync has made a part of it.
    assert "operationState" in check and 'obj.status.sync.status ~= "Synced"' in check
    waves = [read(path)["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for path in PLATFORM]
    assert all(re.fullmatch(r"-?\d+", wave) for wave in waves)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("chart", OURS)
def test_our_charts_give_valid_objects(chart: str, version: str) -> None:
    objects = render(chart)
    assert objects
    for found in objects:
        if version == "1.28" and found["kind"].startswith("ValidatingAdmissionPolicy"):
            continue
        if kubernetes_schemas.builtin(found):
            kubernetes_schemas.validate(found, version)


@pytest.mark.parametrize("chart", OURS)
def test_the_project_allows_what_our_charts_render_outside_of_namespaces(chart: str) -> None:
    project = read(APPS / "platform" / "project.yaml")
    allowed = {(entry["group"], entry["kind"]) for entry in project["spec"]["clusterResourceWhitelist"]}
    cluster_wide = ("Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy")
    for found in render(chart):
        if found["kind"].startswith(cluster_wide):
            assert (
                found["apiVersion"].rpartition("/")[0] if "/" in found["apiVersion"] else "",
                found["kind"],
            ) in allowed


@pytest.mark.parametrize("chart", OURS)
def test_our_pods_pass_the_restricted_standard_and_are_limited(chart: str) -> None:
    for found in render(chart):
        pod = found.get("spec", {}).get("template", {}).get("spec")
        if not pod:
            continue
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"]["cpu"]
            assert container["resources"]["limits"]["memory"]
            assert not container["image"].endswith(("latest", ":"))
            assert ":" in container["image"]


def named_secrets() -> set[tuple[str, str]]:
    """(namespace, Secret) pairs that values and rendered charts name."""
    airflow = read(ROOT / "charts" / "platform" / "airflow.yaml")
    found = {("platform", airflow["data"]["metadataSecretName"])}
    found |= {
        ("platform", value)
        for key, value in airflow.items()
        if re.fullmatch(r"\w+(SecretName|jwtSecretName)|jwtSecretName", key)
    }
    found |= {("platform", entry["secretName"]) for entry in airflow["secret"]}
    for each in every(airflow):
        if isinstance(each, dict) and "secretKeyRef" in each:
            found.add(("platform", each["secretKeyRef"]["name"]))
    found |= {("platform", host["tls"]["secretName"]) for host in airflow["ingress"]["apiServer"]["hosts"]}
    grafana = read(ROOT / "charts" / "platform" / "kube-prometheus-stack.yaml")["grafana"]
    found.add(("monitoring", grafana["admin"]["existingSecret"]))
    found |= {("monitoring", entry["secretName"]) for entry in grafana["ingress"]["tls"]}
    for chart in ("postgresql", "mlflow"):
        for each in every(render(chart)):
            if isinstance(each, dict):
                references = [each[key]["name"] for key in ("secretKeyRef", "secretRef") if key in each]
                found |= {("platform", name) for name in references}
    return found


def test_every_secret_that_is_named_is_one_that_the_check_looks_for() -> None:
    everything = changed(load(), **{"ingress.enabled": True, "repository.private": True})
    looked_for = {(each.namespace, each.name) for each in secrets.expected(everything)}
    assert named_secrets() <= looked_for
    assert len(named_secrets()) >= 10
    settings = load()
    for namespace in ("lifecycle", *settings.served):
        assert (namespace, "mlflow") in looked_for, "docs/contracts.md"
    appset = read(APPS / "applicationset.yaml")["spec"]["template"]["spec"]["source"]["helm"]["valuesObject"]
    assert "credentialsSecret" in appset["modelRepository"]["gitSync"]
    assert (settings.served[0], "git-credentials") in looked_for


def test_every_key_that_is_used_is_one_that_is_made() -> None:
    keys = {(each.namespace, each.name): each.keys for each in secrets.expected(load())}
    used = [
        each["secretKeyRef"]
        for each in every([render("postgresql"), render("mlflow")])
        if isinstance(each, dict) and "secretKeyRef" in each
    ]
    used += [
        each["valueFrom"]["secretKeyRef"]
        for each in read(ROOT / "charts" / "platform" / "airflow.yaml")["createUserJob"]["env"]
    ]
    used += [
        {"name": entry["secretName"], "key": entry["secretKey"]}
        for entry in read(ROOT / "charts" / "platform" / "airflow.yaml")["secret"]
    ]
    assert len(used) >= 6
    for reference in used:
        assert reference["key"] in keys["platform", reference["name"]]
    grafana = read(ROOT / "charts" / "platform" / "kube-prometheus-stack.yaml")["grafana"]["admin"]
    assert (grafana["userKey"], grafana["passwordKey"]) == keys["monitoring", "grafana-admin"]


def test_airflow_may_start_pods_in_one_namespace_annotate_applications_and_no_more() -> None:
    objects = render("foundation")
    rights = {
        (role["metadata"]["namespace"], resource): sorted(rule["verbs"])
        for role in objects
        if role["kind"] == "Role"
        for rule in role["rules"]
        for resource in rule["resources"]
    }
    kinds = ("services", "pods", "deployments", "rollouts", "inferenceservices", "trainedmodels")
    reads = {(name, kind): ["get", "list"] for name in load().served for kind in kinds}
    assert rights == {
        ("lifecycle", "pods"): ["create", "delete", "get", "list", "patch", "watch"],
        ("lifecycle", "pods/log"): ["get"],
        ("lifecycle", "events"): ["get", "list", "watch"],
        ("argocd", "applications"): ["get", "list", "patch"],
        **reads,
    }
    assert not [found for found in objects if found["kind"].startswith("ClusterRole")]
    subjects = {
        (subject["namespace"], subject["name"])
        for found in objects
        if found["kind"] == "RoleBinding" and found["metadata"]["name"] != "airflow-reads-serving"
        for subject in found["subjects"]
    }
    assert subjects == {("platform", "airflow-scheduler"), ("platform", "airflow-triggerer")}
    rules = " ".join(rule["expression"] for rule in one(objects, "ValidatingAdmissionPolicy")["spec"]["validations"])
    for part in ("spec", "operation", "status", "metadata.labels", "metadata.finalizers", "metadata.ownerReferences"):
        assert f"object.{part} == oldObject.{part}" in rules
    assert 'key == "argocd.argoproj.io/refresh" ||' in rules
    airflow = read(ROOT / "charts" / "platform" / "airflow.yaml")
    assert airflow["rbac"]["create"] is False
    assert airflow["allowPodLaunching"] is False


def test_names_are_those_of_the_contracts() -> None:
    foundation = render("foundation")
    assert one(foundation, "PersistentVolumeClaim")["metadata"]["name"] == "workspace"
    assert {found["metadata"]["name"] for found in foundation if found["kind"] == "Namespace"} == {
        "lifecycle",
        *load().served,
    }
    service = one(render("mlflow"), "Service")
    address = f"http://{service['metadata']['name']}.platform.svc:{service['spec']['ports'][0]['port']}"
    assert address == mlflow.MLFLOW_URL
    made = {each.name: each.make({}, {}) for each in secrets.expected(load())}
    (reference,) = [
        entry
        for entry in read(ROOT / "charts" / "platform" / "airflow.yaml")["secret"]
        if entry["envName"] == "AIRFLOW_CONN_MLFLOW_DEFAULT"
    ]
    connection = json.loads((made[reference["secretName"]] or {})[reference["secretKey"]])
    assert f"{connection['schema']}://{connection['host']}:{connection['port']}" == address


def test_an_environment_of_another_cluster_gets_nothing_here() -> None:
    names = [{"name": "staging", "enabled": True}, {"name": "production", "enabled": False}]
    objects = render("foundation", {"environments": names})
    assert "production" not in {each for each in every(objects) if isinstance(each, str)}


def test_what_holds_data_survives_git_and_cluster_down() -> None:
    for found in [*render("foundation"), *render("mlflow")]:
        if found["kind"] in ("Namespace", "PersistentVolumeClaim"):
            options = found["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
            assert {"Prune=false", "Delete=false"} <= set(options.split(","))
        if found["kind"] == "Namespace":
            # Else an environment that is switched off keeps the Application OutOfSync for ever.
            assert found["metadata"]["annotations"]["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous"


@pytest.mark.parametrize(
    ("chart", "values", "said"),
    [
        ("mlflow", {"artifacts": {"type": "s3", "s3": {"destination": ""}}}, "/artifacts/s3/destination"),
        ("mlflow", {"worker": 3}, "worker"),
        ("mlflow", {"artifacts": {"type": "gcs"}}, "/artifacts/gcs/destination"),
        ("mlflow", {"artifacts": {"azure": {"destination": "https://account"}}}, "/artifacts/azure/destination"),
        ("mlflow", {"auth": {"defaultPermission": "ADMIN"}}, "/auth/defaultPermission"),
        ("mlflow", {"artifacts": {"type": "nfs"}}, "/artifacts/type"),
        ("postgresql", {"databases": ["air-flow"]}, "/databases/0"),
        ("postgresql", {"storage": {"size": "20"}}, "/storage/size"),
        ("foundation", {"environments": [{"name": "staging"}]}, "/environments/0"),
        ("foundation", {"workspace": {"accessMode": "ReadOnly"}}, "/workspace/accessMode"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(chart: str, values: Object, said: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(said)):
        render(chart, values)


def test_mlflow_keeps_artifacts_where_it_is_told() -> None:
    container = one(render("mlflow"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert "--artifacts-destination=/artifacts" in container["args"]
    store = {"destination": "s3://bucket/mlflow", "endpoint": "http://minio.example.com:9000", "region": "eu-1"}
    objects = render("mlflow", {"artifacts": {"type": "s3", "s3": store}})
    assert not [found for found in objects if found["kind"] == "PersistentVolumeClaim"]
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert "--artifacts-destination=s3://bucket/mlflow" in container["args"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert variables["MLFLOW_S3_ENDPOINT_URL"] == "http://minio.example.com:9000"


@pytest.mark.parametrize(
    ("kind", "store", "secret"),
    [
        ("gcs", {"destination": "gs://bucket/mlflow", "existingSecret": "mlflow-gcs"}, "mlflow-gcs"),
        ("gcs", {"destination": "gs://bucket/mlflow"}, ""),
        ("azure", {"destination": "wasbs://models@account.blob.core.windows.net/mlflow"}, ""),
    ],
)
def test_mlflow_keeps_artifacts_with_google_and_azure(kind: str, store: dict[str, str], secret: str) -> None:
    objects = render("mlflow", {"artifacts": {"type": kind, kind: store}})
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert f"--artifacts-destination={store['destination']}" in pod["containers"][0]["args"]
    assert not [found for found in objects if found["kind"] == "PersistentVolumeClaim"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert variables.get("GOOGLE_APPLICATION_CREDENTIALS") == ("/credentials/key.json" if secret else None)
    assert [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each] == [secret][: bool(secret)]
    packages = (ROOT / "docker" / "airflow" / "requirements.txt").read_text()
    needs = {"gcs": ["google-cloud-storage"], "azure": ["azure-storage-blob", "azure-identity"]}[kind]
    assert all(f"\n{name}==" in packages for name in needs), "the server runs from this image"


def test_a_cloud_gives_mlflow_s_account_its_rights() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/mlflow"}
    label = {"azure.workload.identity/use": "true"}
    objects = render("mlflow", {"serviceAccount": {"annotations": role}, "podLabels": label})
    account, template = one(objects, "ServiceAccount"), one(objects, "Deployment")["spec"]["template"]
    assert account["metadata"]["annotations"] == role
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert label.items() <= template["metadata"]["labels"].items()
    keyless = changed(load(), **{"mlflow.artifacts": "s3", "mlflow.identity": True})
    made = {each.name: each.keys for each in secrets.expected(keyless)}
    assert made["mlflow-server"] == ("MLFLOW_BACKEND_STORE_URI",)


def test_mlflow_asks_for_a_password_unless_it_is_told_not_to(tmp_path: Path) -> None:
    pod = one(render("mlflow"), "Deployment")["spec"]["template"]["spec"]
    server = pod["containers"][0]
    assert "--app-name=basic-auth" in server["args"]
    assert {"secretRef": {"name": "mlflow-auth"}} in server["envFrom"]
    writes = next(each for each in pod["initContainers"] if each["name"] == "auth")
    path = {each["name"]: each.get("value") for each in server["env"]}["MLFLOW_AUTH_CONFIG_PATH"]
    assert path == writes["command"][-1]
    assert {"name": "tmp", "mountPath": "/tmp"} in writes["volumeMounts"], "where the server reads it"
    given = {each["name"]: each["value"] for each in writes["env"]}
    database = "postgresql://mlflow:p%25w@postgresql-rw.platform.svc:5432/mlflow"
    script = [sys.executable, str(ROOT / "charts" / "mlflow" / "files" / "auth.py"), str(tmp_path / "auth.ini")]
    subprocess.run(script, env={**given, "MLFLOW_BACKEND_STORE_URI": database}, check=True)
    config = ConfigParser()
    config.read(tmp_path / "auth.ini")
    assert {"default_permission": "READ", "database_uri": database}.items() <= dict(config["mlflow"]).items()
    assert (tmp_path / "auth.ini").stat().st_mode & 0o077 == 0, "it holds a password"

    pod = one(render("mlflow", {"auth": {"enabled": False}}), "Deployment")["spec"]["template"]["spec"]
    assert not [arg for arg in pod["containers"][0]["args"] if "app-name" in arg]
    assert [each["name"] for each in pod["initContainers"]] == ["migrate"]
    open_to_all = {each.name: each for each in secrets.expected(changed(load(), **{"mlflow.auth": False}))}
    assert "mlflow-auth" not in open_to_all
    assert open_to_all["mlflow"].keys == ("MLFLOW_TRACKING_URI",)


def test_mlflow_answers_to_the_names_that_it_is_called_by_and_to_no_other() -> None:
    container = one(render("mlflow", {"allowedHosts": ["mlflow.example.com"]}), "Deployment")["spec"]["template"][
        "spec"
    ]
    [hosts] = [
        arg.partition("=")[2] for arg in container["containers"][0]["args"] if arg.startswith("--allowed-hosts=")
    ]
    allowed = hosts.split(",")
    for name in (
        "mlflow.platform.svc:5000",
        "mlflow.platform.svc.cluster.local:5000",
        "localhost:5000",
        "mlflow.example.com",
    ):
        assert is_allowed_host_header(allowed, name)
    for name in ("evil.example.com", "mlflow.platform.svc.evil.com:5000"):
        assert not is_allowed_host_header(allowed, name)


def test_mlflow_upgrades_a_database_that_there_is_and_leaves_a_new_one_to_the_server(tmp_path: Path) -> None:
    script = ROOT / "charts" / "mlflow" / "files" / "migrate.py"
    database = f"sqlite:///{tmp_path}/mlflow.db"
    environment = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "PATH": str(Path(sys.executable).parent),
        "HOME": str(tmp_path),
        # Else each process compiles all of MLflow again.
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", str(tmp_path / "pycache")),
    }

    def migrate() -> str:
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "The database is empty" in migrate()
    store = "from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore"
    make = f"{store}; SqlAlchemyStore({database!r}, {str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", make], env=environment, check=True, capture_output=True, timeout=300)
    assert "Upgrading the database's schema" in migrate()


def test_notifications_reach_the_webhook_for_failed_syncs_and_degraded_health() -> None:
    notifications = read(ROOT / "charts" / "platform" / "argo-cd.yaml")["notifications"]
    triggers = {name: yaml.safe_load(text)[0] for name, text in notifications["triggers"].items()}
    sent = {template for trigger in triggers.values() for template in trigger["send"]}
    assert {f"template.{name}" for name in sent} == set(notifications["templates"])
    [subscription] = notifications["subscriptions"]
    assert {f"trigger.{name}" for name in subscription["triggers"]} == set(triggers)
    service = f"service.webhook.{subscription['recipients'][0]}"
    notifier = yaml.safe_load(notifications["notifiers"][service])
    expected = {each.name: each.keys for each in secrets.expected(load())}
    assert notifier["url"] == f"${expected['argocd-notifications-secret'][0]}"
    for text in notifications["templates"].values():
        assert set(yaml.safe_load(text)["webhook"]) == set(subscription["recipients"])
