"""A candidate beside the live version, as charts/triton renders it: a server apart, nothing of it where clients ask."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay

CANDIDATE = {"version": 4, "sha256": "6" * 64, "runId": "9" * 32}
NAME = "detector-digits-candidate"


@pytest.fixture
def everything() -> Manifest:
    """Values with a candidate and every optional object on."""
    return yaml.safe_load((CHART / "ci" / "candidate-values.yaml").read_text())


def named(objects: list[Manifest], name: str) -> dict[str, Manifest]:
    """The objects of that name, by kind."""
    return {each["kind"]: each for each in objects if each["metadata"]["name"] == name}


def environment(deployment: Manifest) -> dict[str, Any]:
    """Environment variables of the server's container."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def test_a_candidate_adds_its_own_objects_and_changes_no_other(
    values: Manifest, model: Manifest, render: Render
) -> None:
    before = render(values)
    model["candidate"] = CANDIDATE
    after = render(values)
    added = [each for each in after if each not in before]
    assert [each for each in after if each in before] == before, "what is live stays as it is, so that it does not roll"
    assert sorted((each["kind"], each["metadata"]["name"]) for each in added) == [
        ("Deployment", NAME),
        ("Service", NAME),
    ]


def test_a_candidate_serves_its_own_version_under_the_models_name(
    values: Manifest, model: Manifest, render: Render
) -> None:
    model["candidate"] = CANDIDATE
    deployment = named(render(values), NAME)["Deployment"]
    told = environment(deployment)
    assert (told["MLFLOW_MODEL_NAME"], told["MLFLOW_MODEL_VERSION"]) == ("digits-detector", "4")
    assert told["MODEL_SHA256"] == CANDIDATE["sha256"]
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["yolo-lifecycle/model-version"] == "4"
    assert template["metadata"]["annotations"]["yolo-lifecycle/run-id"] == CANDIDATE["runId"]
    (container,) = template["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/models/digits/ready"


def test_no_selector_of_the_live_model_finds_a_candidate_or_the_other_way(everything: Manifest, render: Render) -> None:
    objects = render(everything)
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] == "Deployment"
    }
    assert labels[NAME]["yolo-lifecycle/track"] == "candidate"
    assert "yolo-lifecycle/track" not in labels["detector-digits"]
    for each in objects:
        selector = each.get("spec", {}).get("selector") or each.get("spec", {}).get("podSelector") or {}
        wanted = selector.get("matchLabels", selector)
        if wanted and each["kind"] != "ServiceMonitor":
            found = [name for name, those in labels.items() if wanted.items() <= those.items()]
            assert found == [each["metadata"]["name"].removesuffix("-metrics")], each["kind"]


def test_a_candidate_is_one_pod_inside_the_cluster_whatever_the_live_model_has(
    everything: Manifest, render: Render
) -> None:
    objects = render(everything)
    live, candidate = named(objects, "detector-digits"), named(objects, NAME)
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= live.keys()
    assert candidate.keys() == {"Deployment", "Service", "NetworkPolicy"}
    assert candidate["Deployment"]["spec"]["replicas"] == 1
    assert candidate["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert live["Service"]["spec"]["type"] == "LoadBalancer"
    assert candidate["Service"]["spec"]["type"] == "ClusterIP"
    assert "annotations" not in candidate["Service"]["metadata"]
    fixed = overlay(everything, {"service": {"type": "NodePort", "nodePorts": {"http": 30800}}})
    ports = named(render(fixed), NAME)["Service"]["spec"]["ports"]
    assert not [port for port in ports if "nodePort" in port]


def test_only_the_candidates_own_clients_are_let_in(everything: Manifest, render: Render) -> None:
    shop = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    objects = render(overlay(everything, {"networkPolicy": {"clients": [shop]}}))
    requests = {
        name: named(objects, name)["NetworkPolicy"]["spec"]["ingress"][0]["from"] for name in ("detector-digits", NAME)
    }
    assert requests["detector-digits"] == [shop]
    (peer,) = requests[NAME]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["lifecycle", "platform"]


def test_a_candidates_metrics_are_a_job_apart(everything: Manifest, render: Render) -> None:
    objects = render(everything)
    monitor = next(each for each in objects if each["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    (rule,) = endpoint["relabelings"]
    # Prometheus writes a label's name with _ for what it does not allow in a name.
    label = rule["sourceLabels"][0].removeprefix("__meta_kubernetes_service_label_")
    tracks = {
        each["metadata"]["name"]: {as_prometheus(key): value for key, value in each["metadata"]["labels"].items()}.get(
            label
        )
        for each in objects
        if each["kind"] == "Service"
    }
    live = dict.fromkeys(["detector-digits", "detector-digits-metrics"])
    assert tracks == {**live, NAME: rule["regex"], "detector-plates-candidate": rule["regex"]}
    assert (rule["targetLabel"], rule["replacement"]) == ("job", "detector-candidate")
    rules = next(each for each in objects if each["kind"] == "PrometheusRule")
    recorded = [one for group in rules["spec"]["groups"] for one in group["rules"] if "record" in one]
    git = [one["labels"]["version"] for one in recorded if one["record"] == "yolo:git_model:info"]
    assert git == ["3"], "what Git says is served: no candidate"
    proved = [one["labels"] for one in recorded if one["record"] == "yolo:git_candidate:info"]
    assert [(labels["model"], labels["version"]) for labels in proved] == [("digits", "4"), ("plates", "1")]


def as_prometheus(label: str) -> str:
    """A Kubernetes label as Prometheus names it."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)


def test_the_first_version_of_a_model_can_be_a_candidate(everything: Manifest, render: Render) -> None:
    objects = render(everything)
    assert not named(objects, "detector-plates")
    assert environment(named(objects, "detector-plates-candidate")["Deployment"])["MLFLOW_MODEL_VERSION"] == "1"
    everything["models"] = everything["models"][1:]
    claim = [each for each in render(everything) if each["kind"] == "PersistentVolumeClaim"]
    assert claim, "its cache is there before anything is live"


def test_an_empty_candidate_is_none(values: Manifest, model: Manifest, render: Render) -> None:
    before = render(values)
    model["candidate"] = None
    assert render(values) == before


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        ({"version": None, "sha256": "6" * 64, "runId": ""}, "version"),
        ({"version": "4", "sha256": "6" * 64}, "version"),
        ({"version": 4, "sha256": ""}, "sha256"),
        ({"version": 4}, "sha256"),
        ({**CANDIDATE, "replicas": 2}, "replicas"),
        (4, "candidate"),
    ],
)
def test_a_wrong_candidate_is_refused_by_name(
    candidate: Any, name: str, values: Manifest, model: Manifest, render: Render
) -> None:
    model["candidate"] = candidate
    with pytest.raises(helm_python.HelmError, match=name):
        render(values)


def test_a_candidate_whose_name_would_be_too_long_is_refused_with_the_way_out(
    values: Manifest, model: Manifest, render: Render
) -> None:
    model["name"], values["fullnameOverride"] = "m" * 22, "r" * 30
    model["candidate"] = CANDIDATE
    assert [each["metadata"]["name"] for each in render(values, only="Service")][
        1
    ] == f"{'r' * 30}-{'m' * 22}-candidate"
    model["name"] = "m" * 23
    with pytest.raises(helm_python.HelmError, match=r"models\[0\]\.candidate: .* longer than the 63 .* proof: after"):
        render(values)
    del model["candidate"]
    assert render(values, only="Service"), "without a candidate the name is short enough"


def test_a_model_that_is_called_like_anothers_candidate_is_refused(
    values: Manifest, model: Manifest, render: Render
) -> None:
    values["models"].append({**model, "name": "digits-candidate"})
    assert len(render(values, only="Service")) == 2
    model["candidate"] = CANDIDATE
    with pytest.raises(helm_python.HelmError, match=r"models\[0\]\.candidate: .* as those of the model digits-cand"):
        render(values)


def test_a_candidate_needs_the_model_repository(values: Manifest, model: Manifest, render: Render) -> None:
    model |= {"version": None, "sha256": "", "runId": "", "candidate": CANDIDATE}
    render(values)
    with pytest.raises(helm_python.HelmError, match=r"modelRepository\.gitSync\.repo"):
        render(overlay(values, {"modelRepository": {"gitSync": {"repo": ""}}}))
