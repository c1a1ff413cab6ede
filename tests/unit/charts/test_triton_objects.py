"""What charts/triton renders, by the real Helm, as objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle.model.names import ASSEMBLE_CONTAINER

from tests.support import kubernetes_schemas
from tests.unit.charts.conftest import CHART, Manifest, Render, overlay

CI = sorted((CHART / "ci").glob("*-values.yaml"))
APPS = CHART.parents[1] / "argocd-apps"


def container(deployment: Manifest) -> Manifest:
    """The Triton container."""
    return deployment["spec"]["template"]["spec"]["containers"][0]


def ports_of(deployment: Manifest) -> dict[str, dict[str, int]]:
    """The ports of each container, by its name."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: {port["name"]: port["containerPort"] for port in each["ports"]} for each in containers}


def env(of: Manifest) -> dict[str, Any]:
    """Environment variables by name: the value, or where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in of["env"]}


@pytest.mark.parametrize("version", ["1.28", "1.32", "1.37"])
@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_every_object_of_every_ci_file_is_valid_kubernetes(path: Path, version: str, render: Render) -> None:
    given = yaml.safe_load(path.read_text())
    objects = render(given) + render(given, hooks=True)
    assert objects
    for manifest in objects:
        # These kinds are no part of Kubernetes; the tests of rules, monitor and rollout check them.
        others = ("monitoring.coreos.com/", "argoproj.io/", "gateway.networking.k8s.io/", "keda.sh/")
        if not manifest["apiVersion"].startswith(others):
            kubernetes_schemas.validate(manifest, version)


def test_no_server_is_rendered_before_a_model_has_a_version(values: Manifest, model: Manifest, render: Render) -> None:
    values["models"] = [{**model, "version": None, "sha256": "", "runId": ""}]
    assert [found["kind"] for found in render(values)] == ["ServiceAccount"]
    values["models"] = []
    assert [found["kind"] for found in render(values)] == ["ServiceAccount"]


def test_a_model_gets_a_deployment_and_a_service_of_the_agreed_names(values: Manifest, render: Render) -> None:
    (deployment,), (service,) = render(values, only="Deployment"), render(values, only="Service")
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == "detector-digits"
    labels = {
        "app.kubernetes.io/name": "triton",
        "app.kubernetes.io/instance": "detector",
        "app.kubernetes.io/component": "digits",
    }
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == labels
    pod = deployment["spec"]["template"]
    assert labels.items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["labels"]["yolo-lifecycle/model-version"] == "3"
    assert {p["name"]: p["port"] for p in service["spec"]["ports"]} == {"http": 8000, "grpc": 8001, "metrics": 8002}
    assert ports_of(deployment) == {
        "proxy": {"http": 8000, "grpc": 8001},
        "triton": {"triton-http": 18000, "triton-grpc": 18001, "metrics": 8002},
    }
    (direct,) = render(overlay(values, {"proxy": {"enabled": False}}), only="Deployment")
    assert ports_of(direct) == {"triton": {"http": 8000, "grpc": 8001, "metrics": 8002}}
    ports = [name for each in ports_of(deployment).values() for name in each]
    assert all(port["targetPort"] in ports for port in service["spec"]["ports"])


def test_a_bump_changes_exactly_that_models_deployment(values: Manifest, model: Manifest, render: Render) -> None:
    values["models"] = [model, {**model, "name": "plates", "registeredModel": "plates-detector"}]
    before = {(found["kind"], found["metadata"]["name"]): found for found in render(values)}
    values["models"][1] = {**values["models"][1], "version": 4}
    after = {(found["kind"], found["metadata"]["name"]): found for found in render(values)}
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] != after[key]] == [("Deployment", "detector-plates")]
    template = after["Deployment", "detector-plates"]["spec"]["template"]
    assert template != before["Deployment", "detector-plates"]["spec"]["template"]


@pytest.mark.parametrize("field", ["version", "sha256", "runId"])
def test_each_field_that_the_machine_writes_reaches_the_pod(
    field: str, values: Manifest, model: Manifest, render: Render
) -> None:
    before = render(values, only="Deployment")[0]["spec"]["template"]
    model[field] = {"version": 1_000_000, "sha256": "0" * 64, "runId": "00e1"}[field]
    after = render(values, only="Deployment")[0]["spec"]["template"]
    assert before != after
    annotations = after["metadata"]["annotations"]
    written = {"version": "version", "sha256": "sha256", "runId": "run-id"}[field]
    assert annotations[f"yolo-lifecycle/{written}"] == str(model[field])


def test_hold_is_no_reason_to_roll(values: Manifest, model: Manifest, render: Render) -> None:
    before = render(values)
    model["hold"] = True
    assert render(values) == before


def test_a_rollout_keeps_every_old_pod_until_the_new_one_is_ready(values: Manifest, render: Render) -> None:
    (deployment,) = render(values, only="Deployment")
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    triton = container(deployment)
    inits = [each["name"] for each in deployment["spec"]["template"]["spec"]["initContainers"]]
    assert inits[-1] == ASSEMBLE_CONTAINER, "the DAG knows it by its name (policy/pods.py)"
    ready = "/v2/models/digits/ready"
    assert triton["startupProbe"]["httpGet"] == {"path": ready, "port": "triton-http"}
    assert triton["readinessProbe"]["httpGet"] == {"path": ready, "port": 8000}, "by the way of the clients"
    assert triton["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": "triton-http"}
    startup = triton["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300, "a model needs minutes to be downloaded"
    assert deployment["spec"]["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]
    assert triton["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "6"], "longer than the proxy drains"
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 6 + 30


def test_a_proxy_tells_clients_with_kept_connections_to_leave(values: Manifest, render: Render) -> None:
    (deployment,), (config,) = render(values, only="Deployment"), render(values, only="ConfigMap")
    pod = deployment["spec"]["template"]
    triton, proxy = pod["spec"]["containers"]
    assert {"DRAIN_SECONDS": "4", "EXIT_TIMEOUT_SECONDS": "30", "BIND_ADDRESS": "0.0.0.0"}.items() <= env(proxy).items()
    variables = set(re.findall(r"\$\{(\w+)\}", config["data"]["haproxy.cfg"]))
    assert variables == env(proxy).keys(), "HAProxy refuses a variable that is not set"
    assert {"name": "proxy", "configMap": {"name": config["metadata"]["name"]}} in pod["spec"]["volumes"]
    assert "yolo-lifecycle/proxy-config" in pod["metadata"]["annotations"], "another configuration rolls the pods"
    assert not [argument for argument in triton["args"] if "connection-age" in argument]
    # The kubelet's request lasts as long as the drain, and then comes the stop signal: test_triton_proxy.py.
    assert proxy["lifecycle"]["preStop"]["httpGet"] == {"path": "/", "port": 8003}
    assert ':8003"' in config["data"]["haproxy.cfg"]


def test_without_the_proxy_triton_renews_grpc_connections(values: Manifest, render: Render) -> None:
    off = overlay(values, {"proxy": {"enabled": False}})
    assert render(off, only="ConfigMap") == []
    (deployment,) = render(off, only="Deployment")
    (triton,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "--grpc-max-connection-age=2000" in triton["args"]
    assert triton["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "4"]
    probes = [triton[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")]
    assert probes == ["http", 8000, "http"]


def test_one_gpu_is_given_up_before_it_is_asked_for_again(render: Render) -> None:
    (deployment,) = render(yaml.safe_load((CHART / "ci" / "single-gpu-values.yaml").read_text()), only="Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert container(deployment)["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_a_full_cluster_replaces_one_of_several_without_room_for_another(values: Manifest, render: Render) -> None:
    values |= {"replicas": 2, "strategy": {"maxSurge": 0, "maxUnavailable": "50%"}}
    (deployment,) = render(values, only="Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": "50%"}


def test_the_deadline_follows_from_startup_and_grace(values: Manifest, render: Render) -> None:
    values |= {"terminationGracePeriodSeconds": 100, "probes": {"startup": {"failureThreshold": 60}}}
    (deployment,) = render(values, only="Deployment")
    assert deployment["spec"]["progressDeadlineSeconds"] == 60 * 5 + 100 + 240
    (deployment,) = render({**values, "progressDeadlineSeconds": 700}, only="Deployment")
    assert deployment["spec"]["progressDeadlineSeconds"] == 700


def test_triton_is_started_explicitly_and_gives_up_on_errors(values: Manifest, render: Render) -> None:
    triton = container(render(values, only="Deployment")[0])
    assert triton["command"] == ["tritonserver"]
    assert {
        "--model-repository=/models",
        "--model-control-mode=none",
        "--strict-readiness=true",
        "--exit-on-error=true",
        "--exit-timeout-secs=30",
        "--http-address=0.0.0.0",
        "--grpc-address=0.0.0.0",
        "--metrics-address=0.0.0.0",
    } <= set(triton["args"])
    assert triton["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_explicit_control_mode_loads_what_the_pod_was_made_for(values: Manifest, render: Render) -> None:
    triton = container(render(overlay(values, {"server": {"modelControlMode": "explicit"}}), only="Deployment")[0])
    assert {"--model-control-mode=explicit", "--load-model=*"} <= set(triton["args"])


def test_triton_asks_models_for_their_configuration_only_where_that_is_wanted(values: Manifest, render: Render) -> None:
    asks = {
        wanted: container(render(overlay(values, {"server": {"autoCompleteConfig": wanted}}), only="Deployment")[0])
        for wanted in (False, True)
    }
    flag = "--disable-auto-complete-config"
    assert flag in asks[False]["args"] and flag not in asks[True]["args"]


def test_triton_can_listen_on_the_pods_own_address(values: Manifest, render: Render) -> None:
    triton = container(render(overlay(values, {"server": {"bindAddress": "$(POD_IP)"}}), only="Deployment")[0])
    listening = [argument for argument in triton["args"] if "-address=" in argument]
    assert listening == ["--http-address=$(POD_IP)", "--grpc-address=$(POD_IP)", "--metrics-address=$(POD_IP)"]
    assert env(triton)["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_the_model_knows_its_version_its_cache_and_mlflow(values: Manifest, model: Manifest, render: Render) -> None:
    pod = render(values, only="Deployment")[0]["spec"]["template"]["spec"]
    triton = pod["containers"][0]
    assert triton["envFrom"] == [{"secretRef": {"name": "mlflow"}}]
    found = env(triton)
    assert found["MLFLOW_MODEL_NAME"] == "digits-detector"
    assert found["MLFLOW_MODEL_VERSION"] == "3"
    assert found["MODEL_SHA256"] == model["sha256"]
    assert found["PYTHONDONTWRITEBYTECODE"] == "1"
    mounts = {mount["name"]: mount["mountPath"] for mount in triton["volumeMounts"]}
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume}
    assert found["MODEL_CACHE_DIR"] == mounts["cache"]
    assert mounts["shared-memory"] == "/dev/shm"
    assert volumes["shared-memory"] == {"medium": "Memory", "sizeLimit": "256Mi"}


def test_git_sync_fetches_the_given_ref_once(values: Manifest, render: Render) -> None:
    values["modelRepository"]["gitSync"] |= {"ref": "v1", "depth": 5, "image": "example.com/git-sync:v4"}
    git, assemble = render(values, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"]
    assert git["image"] == "example.com/git-sync:v4"
    assert "command" not in git, "the image knows how to start itself"
    assert env(git) == {
        "GITSYNC_REPO": "https://example.com/yolo.git",
        "GITSYNC_REF": "v1",
        "GITSYNC_DEPTH": "5",
        "GITSYNC_ROOT": "/git",
        "GITSYNC_LINK": "current",
        "GITSYNC_ONE_TIME": "true",
        "GITSYNC_SYNC_TIMEOUT": "120s",
        "GITSYNC_MAX_FAILURES": "3",
        "GITSYNC_SUBMODULES": "off",
    }
    assert assemble["image"] == container(render(values, only="Deployment")[0])["image"]


def test_a_models_pods_check_out_the_commit_of_its_pin_and_say_so(
    values: Manifest, model: Manifest, render: Render
) -> None:
    pins = {"digits": "a" * 40, "plates": "b" * 40, "signs": None}
    values["models"] = [{**model, "name": name, "codeCommit": commit} for name, commit in pins.items()]
    values["models"][0]["candidate"] = {"version": 4, "sha256": model["sha256"], "codeCommit": "c" * 40}
    values["models"][1]["candidate"] = {"version": 4, "sha256": model["sha256"]}
    found = {}
    for deployment in render(values, only="Deployment"):
        template = deployment["spec"]["template"]
        git, assemble = template["spec"]["initContainers"]
        told = template["metadata"]["annotations"]["yolo-lifecycle/code-commit"]
        assert env(assemble)["CODE_COMMIT"] == told
        found[deployment["metadata"]["name"]] = (env(git)["GITSYNC_REF"], told)
    assert found == {
        "detector-digits": ("a" * 40, "a" * 40),
        "detector-digits-candidate": ("c" * 40, "c" * 40),
        "detector-plates": ("b" * 40, "b" * 40),
        "detector-plates-candidate": ("main", ""),
        "detector-signs": ("main", ""),
    }
    # Code that is not from Git has no commit, whatever the pin says.
    values["modelRepository"]["source"] = "image"
    template = render(values, only="Deployment")[0]["spec"]["template"]
    assert template["metadata"]["annotations"]["yolo-lifecycle/code-commit"] == ""


def test_git_credentials_come_from_a_secret_only(values: Manifest, render: Render) -> None:
    values["modelRepository"]["gitSync"]["credentialsSecret"] = "git-credentials"
    git = render(values, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"][0]
    assert env(git)["GITSYNC_USERNAME"] == {"secretKeyRef": {"name": "git-credentials", "key": "username"}}
    assert env(git)["GITSYNC_PASSWORD"] == {"secretKeyRef": {"name": "git-credentials", "key": "password"}}


def test_a_git_host_of_a_company_is_trusted_by_its_own_authority(values: Manifest, render: Render) -> None:
    def pod() -> Manifest:
        found: Manifest = render(values, only="Deployment")[0]["spec"]["template"]["spec"]
        return found

    assert "GIT_SSL_CAINFO" not in env(pod()["initContainers"][0])
    values["modelRepository"]["gitSync"]["caConfigMap"] = "git-ca"
    git = pod()["initContainers"][0]
    [mount] = [each for each in git["volumeMounts"] if each["name"] == "git-ca"]
    assert env(git)["GIT_SSL_CAINFO"] == f"{mount['mountPath']}/ca.crt"
    assert {"name": "git-ca", "configMap": {"name": "git-ca"}} in pod()["volumes"]


def test_one_setting_names_the_secret_that_pulls_images_or_none(values: Manifest, render: Render) -> None:
    for name, wanted in (("", None), ("registry", [{"name": "registry"}])):
        values["imagePullSecrets"] = [{"name": name}]
        assert render(values, only="Deployment")[0]["spec"]["template"]["spec"].get("imagePullSecrets") == wanted


def test_optional_parts_appear_when_asked_for(render: Render) -> None:
    given = yaml.safe_load((CHART / "ci" / "gpu-and-private-repository-values.yaml").read_text())
    deployments = render(given, only="Deployment")
    assert [found["metadata"]["name"] for found in deployments] == ["detector-digits", "detector-plates"]
    assert not render(given, only="ServiceAccount")
    assert render(given, only="Service")[0]["spec"]["type"] == "LoadBalancer"
    template = deployments[0]["spec"]["template"]
    pod = template["spec"]
    assert deployments[0]["spec"]["replicas"] == 2
    assert pod["serviceAccountName"] == "inference"
    for key in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"):
        assert pod[key] == given[key]
    assert pod["imagePullSecrets"] == given["imagePullSecrets"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert env(pod["containers"][0])["OMP_NUM_THREADS"] == "2"
    assert pod["containers"][0]["args"][-1] == "--log-info=true"
    assert template["metadata"]["annotations"]["example.com/team"] == "vision"
    assert template["metadata"]["labels"]["example.com/cost-center"] == "42"


def test_optional_parts_are_absent_when_not(values: Manifest, render: Render) -> None:
    pod = render(values, only="Deployment")[0]["spec"]["template"]["spec"]
    absent = ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName")
    assert not {*absent, "imagePullSecrets"} & pod.keys()


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_each_environments_files_render_with_and_without_a_version(
    environment: str, model: Manifest, values: Manifest, render: Render
) -> None:
    people = yaml.safe_load((APPS / environment / "environment.yaml").read_text())
    machine = yaml.safe_load((APPS / environment / "detector" / "values.yaml").read_text())
    given = overlay(overlay(people, machine), {"modelRepository": values["modelRepository"]})
    assert not render(given, only="Deployment"), "a fresh clone serves nothing"
    assert not people.keys() & machine.keys(), "what the machine writes is in no file that people edit"
    given["models"][0] |= {key: model[key] for key in ("version", "sha256", "runId")}
    (deployment,) = render(given, only="Deployment")
    kubernetes_schemas.validate(deployment, "1.32")
    assert container(deployment)["image"].startswith("ghcr.io/your-org/yolo-triton:")


def test_the_notes_tell_how_to_send_the_first_request(values: Manifest, model: Manifest, files: Any) -> None:
    notes = files(values)["triton/templates/NOTES.txt"]
    assert "version 3 of digits-detector" in notes
    assert "/v2/models/digits/infer" in notes
    assert "service/detector-digits" in notes
    model["version"] = None
    assert "No model has a version yet" in files(values)["triton/templates/NOTES.txt"]
