"""The optional parts of charts/triton: absent until they are asked for, and what they are then."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay

ADAPTER = CHART / "autoscaling" / "prometheus-adapter-values.yaml"
SCALED = {"autoscaling": {"enabled": True, "metrics": [{"measure": "pendingRequests", "target": "8"}]}}


def pod(values: Manifest, render: Render) -> Manifest:
    """The specification of the first model's pods."""
    return render(values, only="Deployment")[0]["spec"]["template"]["spec"]


def volumes(of: Manifest) -> dict[str, Manifest]:
    """Volumes by name, without their names."""
    return {each["name"]: {k: v for k, v in each.items() if k != "name"} for each in of["volumes"]}


ALWAYS = {"ConfigMap", "Deployment", "Service", "ServiceAccount"}
SWITCHES: dict[str, tuple[Manifest, set[str]]] = {
    "nothing": ({}, set()),
    "autoscaling": (SCALED, {"HorizontalPodAutoscaler"}),
    "a disruption budget": ({"podDisruptionBudget": {"enabled": True}}, {"PodDisruptionBudget"}),
    "a network policy": ({"networkPolicy": {"enabled": True}}, {"NetworkPolicy"}),
    "a cache that stays": ({"cache": {"type": "persistentVolumeClaim"}}, {"PersistentVolumeClaim"}),
    "keys in the values": (
        {"modelRepository": {"source": "s3", "s3": {"bucket": "models", "accessKeyId": "a", "secretAccessKey": "b"}}},
        {"Secret"},
    ),
}


@pytest.mark.parametrize("case", SWITCHES)
def test_each_switch_adds_its_own_object_and_nothing_else(case: str, values: Manifest, render: Render) -> None:
    change, added = SWITCHES[case]
    assert {each["kind"] for each in render(overlay(values, change))} == ALWAYS | added


@pytest.mark.parametrize("case", SWITCHES)
def test_no_switch_adds_an_object_for_a_model_that_is_not_served(
    case: str, values: Manifest, model: Manifest, render: Render
) -> None:
    change, added = SWITCHES[case]
    unserved = overlay(values, change) | {"models": [{**model, "version": None, "sha256": ""}]}
    assert {each["kind"] for each in render(unserved)} == {"ServiceAccount"} | (added & {"Secret"})
    assert not render(unserved, hooks=True)


def test_an_autoscaler_owns_the_number_of_pods(values: Manifest, model: Manifest, render: Render) -> None:
    assert render(values, only="Deployment")[0]["spec"]["replicas"] == 1
    values["models"].append({**model, "name": "plates"})
    deployments = render(overlay(values, SCALED), only="Deployment")
    autoscalers = render(overlay(values, SCALED), only="HorizontalPodAutoscaler")
    assert {each["spec"]["replicas"] for each in deployments} == {1}, "the least, which Argo CD then overlooks"
    assert all(each["metadata"]["annotations"] == {"yolo-lifecycle/autoscaled": "true"} for each in deployments)
    targets = [each["spec"]["scaleTargetRef"] for each in autoscalers]
    assert [(each["kind"], each["name"]) for each in targets] == [
        ("Deployment", each["metadata"]["name"]) for each in deployments
    ]


def test_an_autoscaler_asks_for_the_figures_that_the_adapter_makes(values: Manifest, render: Render) -> None:
    measures = [
        {"measure": measure, "type": kind, "target": "1"}
        for measure in ("pendingRequests", "queueSeconds")
        for kind in ("Pods", "External")
    ]
    scaled = overlay(values, {"autoscaling": {"enabled": True, "metrics": measures}})
    (autoscaler,) = render(scaled, only="HorizontalPodAutoscaler")
    rules = yaml.safe_load(ADAPTER.read_text())["rules"]
    served = {kind: {rule["name"]["as"] for rule in rules[of]} for kind, of in (("pods", "custom"), ("external",) * 2)}
    asked: dict[str, set[str]] = {"pods": set(), "external": set()}
    for metric in autoscaler["spec"]["metrics"]:
        kind = metric["type"].lower()
        asked[kind].add(metric[kind]["metric"]["name"])
        assert metric[kind]["target"] == {"type": "AverageValue", "averageValue": "1"}
    assert asked == served
    external = autoscaler["spec"]["metrics"][1]["external"]["metric"]
    assert external["selector"] == {
        "matchLabels": {"job": "detector"},
        "matchExpressions": [{"key": "model", "operator": "In", "values": ["digits", "digits_engine"]}],
    }


SERIES = """\
- series: '{name}{{namespace="staging",job="detector",pod="{pod}",model="digits_engine",version="1"}}'
  values: {values}
- series: '{name}{{namespace="staging",job="detector",pod="{pod}",model="digits",_ensemble="true",version="1"}}'
  values: {values}
"""
METRICS = (
    ("nv_inference_pending_request_count", "a", "3x10"),
    ("nv_inference_pending_request_count", "b", "5x10"),
    # Pod a does 2 requests a second that waited 0.1 s each; pod b is idle.
    ("nv_inference_request_success", "a", "0+60x10"),
    ("nv_inference_queue_duration_us", "a", "0+6000000x10"),
    ("nv_inference_request_success", "b", "0+0x10"),
    ("nv_inference_queue_duration_us", "b", "0+0x10"),
)
EXPECTED: dict[tuple[str, str], dict[str | None, float]] = {
    ("custom", "nv_inference_pending_request_count"): {"a": 3.0, "b": 5.0},
    ("custom", "yolo_queue_seconds_per_request"): {"a": 0.1, "b": 0.0},
    ("external", "nv_inference_pending_request_count"): {None: 8.0},
    ("external", "yolo_queue_seconds_per_request"): {None: 0.1},
}


@pytest.mark.parametrize("of, name", EXPECTED)
def test_the_adapters_queries_give_these_figures(of: str, name: str, tmp_path: Path) -> None:
    """By a real Prometheus' promtool, with the placeholders filled in as the adapter does."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not on PATH: run `apt-get install --no-install-recommends prometheus`"
    (rule,) = [rule for rule in yaml.safe_load(ADAPTER.read_text())["rules"][of] if rule["name"]["as"] == name]
    one = ',job="detector",model=~"digits|digits_engine"' if of == "external" else ',pod=~"a|b"'
    matchers = f'namespace="staging"{one}'
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", matchers).replace("<<.Series>>", name)
    query = query.replace("<<.GroupBy>>", "pod" if of == "custom" else "namespace")
    label = 'pod="{}"' if of == "custom" else 'namespace="staging"'
    samples = [{"labels": "{" + label.format(pod) + "}", "value": value} for pod, value in EXPECTED[of, name].items()]
    series = "".join(SERIES.format(name=name, pod=pod, values=values) for name, pod, values in METRICS)
    test = {
        "interval": "30s",
        "input_series": yaml.safe_load(series),
        "promql_expr_test": [{"expr": query, "eval_time": "5m", "exp_samples": samples}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "30s", "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_disruption_budget_lets_one_pod_go_or_what_is_given(values: Manifest, render: Render) -> None:
    def budget(**given: Any) -> Manifest:
        change = {"replicas": 3, "podDisruptionBudget": {"enabled": True, **given}}
        return render(overlay(values, change), only="PodDisruptionBudget")[0]["spec"]

    assert budget()["maxUnavailable"] == 1
    assert "minAvailable" not in budget()
    assert budget(maxUnavailable="50%")["maxUnavailable"] == "50%"
    assert budget(minAvailable=2)["minAvailable"] == 2
    assert "maxUnavailable" not in budget(minAvailable=2)
    assert budget()["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_network_policy_lets_in_clients_and_prometheus_at_their_ports(values: Manifest, render: Render) -> None:
    given = overlay(values, {"networkPolicy": {"enabled": True}})
    (policy,) = render(given, only="NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    requests, metrics = policy["spec"]["ingress"]
    assert [port["port"] for port in requests["ports"]] == ["http", "grpc"]
    assert {"podSelector": {}} in requests["from"]
    assert [port["port"] for port in metrics["ports"]] == ["metrics"]
    assert "from" in metrics
    given["networkPolicy"] |= {"clients": [], "metricsReaders": []}
    assert all("from" not in rule for rule in render(given, only="NetworkPolicy")[0]["spec"]["ingress"])


def test_restricted_egress_leaves_dns_and_what_is_named(values: Manifest, render: Render) -> None:
    rule = {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]}
    given = {"networkPolicy": {"enabled": True, "restrictEgress": True, "egress": [rule]}}
    (policy,) = render(overlay(values, given), only="NetworkPolicy")
    dns, named = policy["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in dns["to"], "NodeLocal DNS has no pod of its own"
    assert named == rule
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_metrics_are_not_reached_from_outside_unless_a_port_is_named(values: Manifest, render: Render) -> None:
    def services(**given: Any) -> dict[str, Manifest]:
        return {each["metadata"]["name"]: each for each in render(overlay(values, {"service": given}), only="Service")}

    found = services(type="LoadBalancer")
    assert set(found) == {"detector-digits", "detector-digits-metrics"}
    inside = found["detector-digits-metrics"]
    assert (inside["spec"]["type"], [port["name"] for port in inside["spec"]["ports"]]) == ("ClusterIP", ["metrics"])
    assert inside["spec"]["selector"] == found["detector-digits"]["spec"]["selector"]
    assert "app.kubernetes.io/component" not in inside["metadata"]["labels"], "the DAG finds one Service of a model"
    monitored = overlay(
        values, {"service": {"type": "LoadBalancer"}, "monitoring": {"serviceMonitor": {"enabled": True}}}
    )
    (monitor,) = render(monitored, only="ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= inside["metadata"]["labels"].items()
    (named,) = services(type="NodePort", nodePorts={"metrics": 30802}).values()
    assert {port["name"] for port in named["spec"]["ports"]} == {"http", "grpc", "metrics"}


def test_a_service_has_the_fields_of_its_type_only(values: Manifest, render: Render) -> None:
    def service(**given: Any) -> Manifest:
        return render(overlay(values, {"service": given}), only="Service")[0]["spec"]

    assert set(service()) == {"type", "selector", "ports"}
    node = service(type="NodePort", nodePorts={"http": 30800, "grpc": 30801})
    assert {port["name"]: port.get("nodePort") for port in node["ports"]} == {
        "http": 30800,
        "grpc": 30801,
    }
    assert set(node) == {"type", "selector", "ports", "externalTrafficPolicy"}
    balanced = service(
        type="LoadBalancer",
        loadBalancerClass="metallb.universe.tf/metallb",
        loadBalancerSourceRanges=["10.0.0.0/8"],
        allocateLoadBalancerNodePorts=False,
        externalTrafficPolicy="Local",
    )
    assert balanced["loadBalancerClass"] == "metallb.universe.tf/metallb"
    assert balanced["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert balanced["allocateLoadBalancerNodePorts"] is False
    assert balanced["externalTrafficPolicy"] == "Local"


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"])
def test_a_gpu_is_a_limit_of_the_server_by_the_nodes_name_for_it(name: str, values: Manifest, render: Render) -> None:
    given = overlay(values, {"gpu": {"resourceName": name, "count": 2}, "runtimeClassName": "nvidia"})
    spec = pod(given, render)
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "2Gi", name: 2}
    assert all(name not in str(each["resources"]) for each in spec["initContainers"])
    assert spec["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in pod(values, render)


def test_a_spread_without_a_selector_is_that_of_each_model(values: Manifest, render: Render) -> None:
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    deployment = render(overlay(values, {"topologySpreadConstraints": [spread]}), only="Deployment")[0]["spec"]
    (found,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert found == {**spread, "labelSelector": deployment["selector"]}


def test_the_cache_is_the_pods_own_or_a_claim(values: Manifest, render: Render) -> None:
    own = pod(values, render)
    assert volumes(own)["cache"] == {"emptyDir": {"sizeLimit": "2Gi"}}
    limit = next(each["value"] for each in own["containers"][0]["env"] if each["name"] == "MODEL_CACHE_LIMIT_MB")
    assert int(limit) * 10**6 < 2 * 2**30, "the cache has to clean up before the kubelet evicts the pod"
    made = overlay(values, {"cache": {"type": "persistentVolumeClaim"}})
    (claim,) = render(made, only="PersistentVolumeClaim")
    assert volumes(pod(made, render))["cache"] == {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert "storageClassName" not in claim["spec"], "the cluster's default"
    existing = overlay(made, {"cache": {"persistentVolumeClaim": {"existingClaim": "models"}}})
    assert not render(existing, only="PersistentVolumeClaim")
    assert volumes(pod(existing, render))["cache"] == {"persistentVolumeClaim": {"claimName": "models"}}


def test_pods_that_share_a_volume_of_one_node_go_to_one_node(values: Manifest, render: Render) -> None:
    def affinity(mode: str, **given: Any) -> Any:
        cache = {"type": "persistentVolumeClaim", "persistentVolumeClaim": {"accessModes": [mode]}}
        return pod(overlay(values, {"cache": cache, **given}), render).get("affinity")

    (term,) = affinity("ReadWriteOnce")["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    labels = render(values, only="Deployment")[0]["spec"]["template"]["metadata"]["labels"]
    assert term["labelSelector"]["matchLabels"].items() <= labels.items()
    assert affinity("ReadWriteMany") is None and "affinity" not in pod(values, render)
    node: Manifest = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    assert set(affinity("ReadWriteOnce", affinity=node)) == {"nodeAffinity", "podAffinity"}
    own: Manifest = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    assert affinity("ReadWriteOnce", affinity=own) == own


SOURCES: dict[str, tuple[Manifest, list[str], str]] = {
    "gitSync": ({}, ["git-sync", "assemble"], "/git/current"),
    "image": ({"image": {"root": "/opt/templates"}}, ["assemble"], "/opt/templates"),
    "persistentVolumeClaim": ({"persistentVolumeClaim": {"claimName": "templates"}}, ["assemble"], "/templates"),
    "s3": ({"s3": {"bucket": "models"}}, ["s3", "assemble"], "/templates"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_of_templates_has_the_steps_and_volumes_that_it_needs(
    source: str, values: Manifest, render: Render
) -> None:
    settings, steps, checkout = SOURCES[source]
    spec = pod(overlay(values, {"modelRepository": {"source": source, **settings}}), render)
    assert [each["name"] for each in spec["initContainers"]] == steps
    assemble = spec["initContainers"][-1]
    found = {entry["name"]: entry["value"] for entry in assemble["env"]}
    assert found["CHECKOUT"] == checkout
    claims = [volume for volume in volumes(spec).values() if "persistentVolumeClaim" in volume]
    assert len(claims) == (source == "persistentVolumeClaim")
    mounted = [mount for mount in assemble["volumeMounts"] if checkout.startswith(mount["mountPath"])]
    assert len(mounted) == (source != "image"), "of an image, the templates are there already"
    assert all(mount["readOnly"] for mount in mounted)


def keys(entries: list[Manifest]) -> dict[str, Any]:
    """Environment variables that come from a Secret: (Secret, key) by name."""
    refs = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in entries if "valueFrom" in each}
    return {name: (ref["name"], ref["key"]) for name, ref in refs.items()}


@pytest.mark.parametrize(
    "given, secret",
    [
        ({}, None),
        ({"existingSecret": "minio"}, "minio"),
        ({"accessKeyId": "id", "secretAccessKey": "key"}, "detector-s3"),
    ],
    ids=["none", "existing", "made"],
)
def test_the_keys_of_a_bucket_come_from_a_secret(
    given: Manifest, secret: str | None, values: Manifest, render: Render
) -> None:
    bucket = {"source": "s3", "s3": {"bucket": "models", "endpoint": "http://minio.storage.svc:9000", **given}}
    full = overlay(values, {"modelRepository": bucket})
    fetch = pod(full, render)["initContainers"][0]
    assert {"name": "S3_ENDPOINT_URL", "value": "http://minio.storage.svc:9000"} in fetch["env"]
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert keys(fetch["env"]) == ({name: (secret, name) for name in names} if secret else {})
    made = render(full, only="Secret")
    assert [each["stringData"] for each in made] == (
        [dict(zip(names, ("id", "key"), strict=True))] if secret == "detector-s3" else []
    )
    assert "key" not in str(fetch["args"])


def test_what_else_a_team_needs_reaches_the_server(values: Manifest, render: Render) -> None:
    given = yaml.safe_load((CHART / "ci" / "minio-values.yaml").read_text())
    spec = pod(given, render)
    server = spec["containers"][0]
    assert server["envFrom"] == [{"secretRef": {"name": "mlflow-production"}}, {"configMapRef": {"name": "proxy"}}]
    assert given["extraVolumes"][0] in spec["volumes"]
    assert given["extraVolumeMounts"][0] in server["volumeMounts"]


def test_the_times_of_requests_are_logged_only_where_that_is_asked_for(values: Manifest, render: Render) -> None:
    assert [each["kind"] for each in render(values, hooks=True)] == ["Pod"]
    given = yaml.safe_load((CHART / "ci" / "two-tasks-values.yaml").read_text())
    jobs = render(given, only="Job", hooks=True)
    assert [job["metadata"]["name"] for job in jobs] == ["detector-digits-latency", "detector-numbers-latency"]
    pods = [job["spec"]["template"]["spec"] for job in jobs]
    assert all(
        pod["volumes"] == [{"name": "log", "persistentVolumeClaim": {"claimName": "latency-logs"}}] for pod in pods
    )
    asked = ["--requests=500", "--concurrency=4", "--log=/log/detector-numbers.jsonl"]
    assert pods[1]["containers"][0]["args"] == ["--url=detector-numbers:8001", "--model=numbers", *asked]


@pytest.mark.parametrize(
    "kind, said", [("ClusterIP", "port-forward"), ("NodePort", "nodePort"), ("LoadBalancer", ".ip}")]
)
def test_the_notes_say_where_the_server_is(
    kind: str, said: str, values: Manifest, files: Callable[[Manifest], dict[str, str]]
) -> None:
    notes = files(overlay(values, {"service": {"type": kind}, "test": {"imageSize": 64}}))["triton/templates/NOTES.txt"]
    assert said in notes
    assert "curl --fail $SERVER/v2/models/digits/ready" in notes
    assert '"shape": [1, 3, 64, 64], "data": [0] * 12288' in notes
    assert "helm test detector --namespace staging" in notes
