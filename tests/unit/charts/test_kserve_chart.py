"""charts/kserve: what it renders of the same values file, checked against KServe's own types."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.schemas.kserve import install
from tests.schemas.kserve.check import KINDS, problems
from tests.support.kubernetes_schemas import builtin, validate
from tests.unit.charts.conftest import CHART as TRITON
from tests.unit.charts.conftest import SHA256, Manifest, overlay
from tests.unit.charts.test_triton_values import missing, uncommented, undescribed

CHART = TRITON.parent / "kserve"
MODES = ("single", "group", "trained-model")
# As of FACTS, which the reference cluster is of too.
KUBERNETES = "1.34"
URI = "s3://models/published"
Objects = Callable[..., list[Manifest]]


def entry(name: str, version: int | None = 3, n: int = 1) -> Manifest:
    """An entry as a release leaves it."""
    uri = "" if version is None else f"{URI}/{name}-detector/{version}-{SHA256[:8]}-{n}"
    pin = {"version": version, "sha256": SHA256, "runId": "r1", "codeCommit": "a" * 40, "storageUri": uri}
    return {"name": name, "registeredModel": f"{name}-detector", **pin, "hold": False}


def values(mode: str, **more: Any) -> Manifest:
    foreign = {"name": "zoo", "source": {"s3": "s3://models/zoo/densenet/1"}, "hold": False}
    base: Manifest = {"mode": mode, "models": [entry("digits"), entry("signs", 4), entry("plates", None), foreign]}
    return overlay(base, more)


def render(given: Manifest) -> list[Manifest]:
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(given, name="detector", namespace="staging")
    found = [yaml.safe_load_all(text) for name, text in sorted(texts.items()) if not name.endswith("NOTES.txt")]
    return [document for documents in found for document in documents if document]


def of(kind: str, objects: list[Manifest]) -> list[Manifest]:
    return [each for each in objects if each["kind"] == kind]


@pytest.fixture(scope="module")
def schema() -> Path:
    """KServe's types."""
    return install.ensure()


FULL: Manifest = {
    "storage": {"endpoint": "minio.storage:9000", "https": False, "accessKeyId": "id", "secretAccessKey": "key"},
    "gpu": {"resourceName": "nvidia.com/gpu"},
    "nodeSelector": {"gpu": "true"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "imagePullSecrets": [{"name": "registry"}],
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "mlflow": {"existingSecret": "mlflow"},
    "extraEnv": [{"name": "MODEL_ENGINE", "value": "cuda"}],
}


@pytest.mark.parametrize("more", [{}, FULL], ids=["least", "all"])
@pytest.mark.parametrize("mode", MODES)
def test_every_object_is_as_kserve_and_kubernetes_define_it(mode: str, more: Manifest, schema: Path) -> None:
    objects = render(values(mode, **more))
    wanted = {"ServingRuntime", "InferenceService", "Service", "ServiceAccount"}
    wanted |= {"TrainedModel"} if mode == "trained-model" else {"ConfigMap"}
    wanted |= {"Secret", "PodDisruptionBudget", "NetworkPolicy"} if more else set()
    assert {each["kind"] for each in objects} == wanted
    for each in objects:
        if builtin(each):
            validate(each, KUBERNETES)
        else:
            assert problems(schema, each) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("spec", "predictor", "modl"), {}, "unknown field"),
        (("spec", "predictor", "minReplicas"), "one", "is no int"),
        (("spec", "predictor", "storageUris"), [{"url": "s3://x"}], ".spec.predictor.storageUris[0].uri: missing"),
        (("spec", "predictor", "tolerations"), [{"keys": "x"}], "tolerations[0].keys: unknown field"),
        (("kind",), "InferenceServer", "no kind of KServe"),
    ],
)
def test_a_wrong_object_would_be_found(path: tuple[str, ...], value: Any, words: str, schema: Path) -> None:
    (service,) = of("InferenceService", render(values("group")))
    wrong = copy.deepcopy(service)
    at = wrong
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert any(words in line for line in problems(schema, wrong))
    assert set(KINDS) == {(each["apiVersion"], each["kind"]) for each in render(values("trained-model")) if "." in
                          each["apiVersion"] and "kserve" in each["apiVersion"]}  # fmt: skip


def test_single_has_a_service_for_each_model_and_a_new_pin_is_a_new_address() -> None:
    found = {
        each["metadata"]["name"]: each["spec"]["predictor"] for each in of("InferenceService", render(values("single")))
    }
    assert set(found) == {"detector-digits-kserve", "detector-signs-kserve", "detector-zoo-kserve"}
    digits = found["detector-digits-kserve"]
    # KServe takes an address for the beginning of keys: without the slash, …-1 brings …-10 along.
    assert digits["model"]["storageUri"] == f"{URI}/digits-detector/3-{SHA256[:8]}-1/"
    assert digits["labels"]["pin.yolo-lifecycle/digits"] == f"3-{SHA256[:8]}-1"
    assert "storageUris" not in digits
    assert found["detector-zoo-kserve"]["storageUris"] == [
        {"uri": "s3://models/zoo/densenet/1/", "mountPath": "/mnt/models/zoo"}
    ]


def test_group_has_one_service_with_a_mount_and_a_pin_for_each_model() -> None:
    ((service,), before) = (of("InferenceService", render(values("group"))), None)
    assert [each["mountPath"] for each in service["spec"]["predictor"]["storageUris"]] == [
        "/mnt/models/digits", "/mnt/models/signs", "/mnt/models/zoo"]  # fmt: skip
    before = service["spec"]["predictor"]["labels"]
    moved = values("group")
    moved["models"][0] = entry("digits", 3, n=2)
    after = of("InferenceService", render(moved))[0]["spec"]["predictor"]["labels"]
    assert {key for key in before if before[key] != after[key]} == {"pin.yolo-lifecycle/digits"}
    runtime = of("ServingRuntime", render(values("group")))[0]["spec"]["containers"][0]
    assert runtime["ports"][0] == {"name": "http", "containerPort": 8000, "protocol": "TCP"}, "KServe's port 80"
    assert runtime["readinessProbe"]["httpGet"]["path"] == runtime["startupProbe"]["httpGet"]["path"]
    assert {"--model-control-mode=none", "--exit-on-error=true"} <= set(runtime["args"])


def test_clients_reach_triton_through_the_proxy_that_drains() -> None:
    objects = render(values("group"))
    triton, proxy = of("ServingRuntime", objects)[0]["spec"]["containers"]
    assert (triton["name"], proxy["name"]) == ("kserve-container", "proxy"), "KServe takes the first for the server"
    assert {"--http-port=18000", "--grpc-port=18001"} <= set(triton["args"])
    assert {port["port"]: port["targetPort"] for port in of("Service", objects)[0]["spec"]["ports"]} == {
        8000: 8000, 8001: 8001, 8002: 8002}  # fmt: skip
    assert proxy["lifecycle"]["preStop"]["httpGet"]["port"] == 8003
    assert triton["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "8"], "two seconds after the drain"
    (config,) = of("ConfigMap", objects)
    assert config["data"]["haproxy.cfg"].strip() == (TRITON / "files" / "haproxy.cfg").read_text().strip()
    assert config["metadata"]["name"] == of("ServingRuntime", objects)[0]["spec"]["volumes"][0]["configMap"]["name"]


@pytest.mark.parametrize(("mode", "proxy"), [("trained-model", True), ("group", False)])
def test_without_the_proxy_triton_is_asked_itself(mode: str, proxy: bool) -> None:
    objects = render(values(mode, proxy={"enabled": proxy}))
    assert len(of("ServingRuntime", objects)[0]["spec"]["containers"]) == 1 and not of("ConfigMap", objects)
    assert {port["targetPort"] for port in of("Service", objects)[0]["spec"]["ports"]} == {8080, 8081, 8002}


def test_trained_models_come_after_their_service_and_roll_no_pod() -> None:
    objects = render(values("trained-model"))
    (service,) = of("InferenceService", objects)
    predictor = service["spec"]["predictor"]
    assert "storageUris" not in predictor and "storageUri" not in predictor["model"]
    assert not any(key.startswith("pin.") for key in predictor.get("labels") or {}), "a new pin starts no pod"
    models = {each["metadata"]["name"]: each for each in of("TrainedModel", objects)}
    assert set(models) == {"digits", "signs", "zoo"}
    assert models["digits"]["spec"]["model"]["storageUri"] == f"{URI}/digits-detector/3-{SHA256[:8]}-1/digits/"
    assert {each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for each in models.values()} == {"1"}
    arguments = of("ServingRuntime", objects)[0]["spec"]["containers"][0]["args"]
    assert {"--load-model=*", "--exit-on-error=false", "--strict-readiness=false"} <= set(arguments)


@pytest.mark.parametrize("mode", MODES)
def test_clients_keep_the_address_that_charts_triton_gives(mode: str) -> None:
    objects = render(values(mode))
    services = {each["metadata"]["name"]: each for each in of("Service", objects)}
    assert set(services) == {"detector-digits", "detector-signs", "detector-zoo"}
    names = {each["metadata"]["name"] for each in of("InferenceService", objects)}
    for each in services.values():
        assert each["spec"]["selector"]["serving.kserve.io/inferenceservice"] in names
        assert {port["name"]: port["port"] for port in each["spec"]["ports"]}["http"] == 8000
        assert "serving.kserve.io/inferenceservice" not in each["metadata"]["labels"], "those are KServe's own"


@pytest.mark.parametrize(("https", "path_style"), [(True, True), (False, False)])
def test_the_secret_tells_kserve_which_store_it_is(https: bool, path_style: bool) -> None:
    storage = {"endpoint": "minio:9000", "https": https, "verifyCertificate": https, "pathStyle": path_style}
    objects = render(values("group", storage={**storage, "accessKeyId": "id", "secretAccessKey": "key"}))
    (secret,) = of("Secret", objects)
    told = secret["metadata"]["annotations"]
    flag = "1" if https else "0"
    assert told["serving.kserve.io/s3-endpoint"] == "minio:9000"
    assert (told["serving.kserve.io/s3-usehttps"], told["serving.kserve.io/s3-verifyssl"]) == (flag, flag)
    assert told["serving.kserve.io/s3-usevirtualbucket"] == ("false" if path_style else "true")
    assert of("ServiceAccount", objects)[0]["secrets"] == [{"name": secret["metadata"]["name"]}]


WRONG: dict[str, tuple[Manifest, str]] = {
    "a version that was not published": ({"models": [{**entry("digits"), "storageUri": ""}]}, "LIFECYCLE_PUBLISH_URL"),
    "a candidate": ({"models": [{**entry("digits"), "candidate": {"version": 4, "sha256": SHA256}}]}, "proof: after"),
    "two sources": ({"models": [{**entry("digits"), "source": {"s3": "s3://b/k"}}]}, "remove one of them"),
    "an underscore in a TrainedModel": (
        {"mode": "trained-model", "models": [{"name": "a_b", "source": {"s3": "s3://b/k"}}]},
        "no name of an object",
    ),
    "half a key": ({"storage": {"accessKeyId": "id"}}, "storage.secretAccessKey"),
    "a stop that is cut off": ({"terminationGracePeriodSeconds": 36}, "running requests would be cut off"),
    "an unknown mode": ({"mode": "canary"}, "/mode"),
    "a typo": ({"storag": {}}, "storag"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_named(case: str) -> None:
    given, words = WRONG[case]
    with pytest.raises(helm_python.HelmError, match=words):
        render(given)


def test_an_environment_for_charts_triton_is_taken_too() -> None:
    """Its keys that mean nothing to KServe are known; the switch of an app is one line."""
    production = yaml.safe_load((TRITON.parents[1] / "argocd-apps" / "production" / "environment.yaml").read_text())
    objects = render(overlay(production, values("group")))
    assert of("InferenceService", objects)[0]["spec"]["predictor"]["minReplicas"] == production["replicas"]
    assert of("NetworkPolicy", objects) and of("PodDisruptionBudget", objects)


@pytest.mark.parametrize("file", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda file: file.stem)
def test_examples_are_whole_and_argo_cd_may_apply_them(file: Path, schema: Path) -> None:
    project = yaml.safe_load((TRITON.parents[1] / "argocd-apps" / "project.yaml").read_text())["spec"]
    allowed = {(entry["group"], entry["kind"]) for entry in project["namespaceResourceWhitelist"]}
    objects = render(yaml.safe_load(file.read_text()))
    assert {(each["apiVersion"].rpartition("/")[0], each["kind"]) for each in objects} <= allowed
    for each in objects:
        assert builtin(each) or problems(schema, each) == []


def test_every_value_is_described() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "values.yaml").read_text()
    assert list(missing(yaml.safe_load(text), schema)) == []
    assert list(undescribed(schema)) == []
    assert list(uncommented(text)) == []
    report = helm_python.lint(CHART, values("group"), strict=True)
    assert not report["errors"], report
