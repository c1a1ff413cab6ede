"""What the API server fills in: the product reads some of it back, and none of it may look like drift."""

from __future__ import annotations

import base64

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object

pytestmark = pytest.mark.xdist_group("api-server")


def subset(wanted: object, found: object) -> bool:
    """Whether everything wanted is found, in maps of maps; lists as long as each other."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(subset(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(subset, wanted, found))
    return wanted == found


def test_a_deployment(api: Api, namespace: str) -> None:
    found = api.create("deployments", namespace, objects.deployment("a")).object()
    spec = {key: value for key, value in found["spec"].items() if key not in ("selector", "template")}
    assert spec == {
        "replicas": 0,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    body = objects.deployment("b")
    del body["spec"]["replicas"]
    dry = api.create("deployments", namespace, body, dryRun="All").object()
    assert dry["spec"]["replicas"] == 1


def test_a_pod_template(api: Api, namespace: str) -> None:
    body = objects.deployment("a")
    template = body["spec"]["template"]["spec"]
    template |= {
        "serviceAccountName": "default",
        "volumes": [
            {"name": "c", "configMap": {"name": "c"}},
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
            {"name": "n"},
            {"name": "d", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ],
    }
    found = api.create("deployments", namespace, body).object()["spec"]["template"]
    assert found["metadata"]["labels"] == {"app": "a"}
    spec = found["spec"]
    assert {key: value for key, value in spec.items() if key not in ("containers", "volumes")} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "serviceAccount": "default",
        "serviceAccountName": "default",
    }
    reference = {"apiVersion": "v1", "fieldPath": "metadata.labels"}
    assert spec["volumes"] == [
        {"name": "c", "configMap": {"name": "c", "defaultMode": 420}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
        {"name": "n", "emptyDir": {}},
        {"name": "d", "downwardAPI": {"items": [{"path": "p", "fieldRef": reference}], "defaultMode": 420}},
    ]


def test_an_account_is_not_defaulted_in_a_template(api: Api, namespace: str) -> None:
    found = api.create("deployments", namespace, objects.deployment("a"), dryRun="All").object()
    assert not {"serviceAccount", "serviceAccountName"} & set(found["spec"]["template"]["spec"])


def test_a_container(api: Api, namespace: str) -> None:
    container = {
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "EMPTY", "value": ""},
        ],
        "readinessProbe": {"httpGet": {"port": "http"}},
        "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 9},
        "lifecycle": {"preStop": {"httpGet": {"port": "http"}}},
        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
    }
    made = api.create("deployments", namespace, objects.deployment("a", container)).object()
    assert objects.container_of(made) == {
        "name": "main",
        "image": "python:3.11",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
        "env": [
            {"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "EMPTY"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": "http", "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        },
        "startupProbe": {
            "exec": {"command": ["true"]},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 9,
        },
        "lifecycle": {"preStop": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}}},
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }  # fmt: skip


def test_a_pod(api: Api, namespace: str) -> None:
    body = objects.pod("a", {"image": "python:latest", "resources": {"limits": {"cpu": "500m"}}})
    found = api.create("pods", namespace, body, dryRun="All").object()
    assert subset(
        {
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "restartPolicy": "Always",
            "enableServiceLinks": True,
            "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{key}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for key in ("not-ready", "unreachable")
            ],
            # What is limited and asks for nothing asks for its limit.
            "containers": [
                {
                    "imagePullPolicy": "Always",
                    "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}},
                }
            ],
        },
        found["spec"],
    ), found["spec"]
    assert found["status"] == {"phase": "Pending", "qosClass": "Burstable"}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_how_well_a_pod_is_served(api: Api, namespace: str, resources: Object, quality: str) -> None:
    found = api.create("pods", namespace, objects.pod("a", {"resources": resources}), dryRun="All").object()
    assert found["status"]["qosClass"] == quality


def test_a_service(api: Api, namespace: str) -> None:
    found = api.create("services", namespace, objects.service("a")).object()
    spec = found["spec"]
    assert spec["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    assert spec["clusterIPs"] == [spec["clusterIP"]] and spec["clusterIP"].count(".") == 3
    assert {key: spec[key] for key in ("type", "sessionAffinity", "internalTrafficPolicy", "ipFamilyPolicy")} == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
    }
    assert spec["ipFamilies"] == ["IPv4"]
    assert found["status"] == {"loadBalancer": {}}
    other = api.create("services", namespace, objects.service("b")).object()
    assert other["spec"]["clusterIP"] != spec["clusterIP"]
    # A replacement keeps the address that it does not name.
    kept = api.replace("services", namespace, "a", objects.service("a")).object()
    assert kept["spec"]["clusterIP"] == spec["clusterIP"]


def test_a_secret(api: Api, namespace: str) -> None:
    found = api.create("secrets", namespace, {"metadata": {"name": "a"}, "stringData": {"k": "v"}}).object()
    assert found["type"] == "Opaque" and found["data"] == {"k": base64.b64encode(b"v").decode()}
    assert "stringData" not in found
    merged = api.patch("secrets", namespace, "a", {"stringData": {"l": "w"}}).object()
    assert set(merged["data"]) == {"k", "l"}


def test_a_claim(api: Api, namespace: str) -> None:
    found = api.create("persistentvolumeclaims", namespace, objects.claim("a")).object()
    assert found["spec"]["volumeMode"] == "Filesystem" and found["status"] == {"phase": "Pending"}


def test_a_namespace(api: Api, namespace: str) -> None:
    found = api.ask("GET", f"/api/v1/namespaces/{namespace}").object()
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": namespace}
    assert found["spec"] == {"finalizers": ["kubernetes"]} and found["status"] == {"phase": "Active"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1", "1"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("2.5Gi", "2560Mi"),
        (2, "2"),
    ],
)
def test_quantities_are_written_in_one_way(api: Api, namespace: str, given: str | int, stored: str) -> None:
    # As resources of a container: what Argo CD compares is what the server wrote.
    container = {"resources": {"requests": {"memory": given}}}
    made = api.create("deployments", namespace, objects.deployment("a", container), dryRun="All").object()
    assert objects.container_of(made)["resources"]["requests"]["memory"] == stored


def test_fields_that_nobody_knows_are_not_stored(api: Api, namespace: str) -> None:
    body = {**objects.config_map("a", {"k": "v"}), "dta": {"typo": "x"}}
    answer = api.create("configmaps", namespace, body, fieldValidation="Strict")
    assert answer.status in (400, 422) and "dta" in answer.refused(answer.status)
