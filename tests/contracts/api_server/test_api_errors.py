"""Answers that are no success: Status objects, their reasons, and the fields that they complain of."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object, path

pytestmark = pytest.mark.xdist_group("api-server")


def test_what_is_not_there(api: Api, namespace: str) -> None:
    answer = api.get("pods", namespace, "nobody")
    assert answer.refused(404, "NotFound") == 'pods "nobody" not found'
    assert answer.body["details"] == {"name": "nobody", "kind": "pods"}
    answer = api.get("applications", namespace, "nobody")
    assert answer.refused(404, "NotFound") == 'applications.argoproj.io "nobody" not found'
    assert answer.body["details"] == {"name": "nobody", "group": "argoproj.io", "kind": "applications"}


@pytest.mark.parametrize(
    "url",
    [
        "/apis/argoproj.io/v1alpha1/namespaces/{}/no-such-kinds",
        "/apis/no.such.group/v1/namespaces/{}/things",
        "/api/v1/namespaces/{}/no-such-kinds",
        "/apis/apps/v1beta1/namespaces/{}/deployments",
    ],
)
def test_a_kind_that_nobody_installed(api: Api, namespace: str, url: str) -> None:
    answer = api.ask("GET", url.format(namespace))
    assert answer.status == 404
    # Without a CRD there is nobody who knows the path, so nobody writes a Status.
    assert answer.body.get("kind", "Status") == "Status" and "not found" in answer.text.replace("NotFound", "not found")


def test_a_method_that_a_path_does_not_have(api: Api, namespace: str) -> None:
    told = api.ask("DELETE", "/api/v1/configmaps").refused(405, "MethodNotAllowed")
    assert told == "the server does not allow this method on the requested resource"
    api.ask("POST", path("configmaps", namespace, "a"), objects.config_map("a")).refused(405, "MethodNotAllowed")


def test_a_body_that_cannot_be_read(api: Api, namespace: str) -> None:
    api.ask("POST", path("configmaps", namespace), "{").refused(400, "BadRequest")
    api.ask("POST", path("configmaps", namespace), "hello", "text/plain").refused(415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("plural", "body"),
    [
        ("configmaps", {"metadata": {"name": "a"}, "data": {"k": 1}}),
        ("configmaps", {"metadata": {"name": "a", "labels": {"k": 1}}}),
        ("deployments", {"metadata": {"name": "a"}, "spec": {"replicas": "one"}}),
        ("services", {"metadata": {"name": "a"}, "spec": {"ports": {"port": 1}}}),
        ("secrets", {"metadata": {"name": "a"}, "data": {"k": "not base64!"}}),
    ],
)
def test_a_value_of_the_wrong_type(api: Api, namespace: str, plural: str, body: Object) -> None:
    api.create(plural, namespace, body).refused(400, "BadRequest")


def bad_pod(**container: Any) -> Object:
    return objects.pod("a", container)


MANY: list[tuple[str, Object, dict[str, str]]] = [
    ("pods", bad_pod(image=""), {"spec.containers[0].image": "FieldValueRequired"}),
    ("pods", bad_pod(name="Not A Name"), {"spec.containers[0].name": "FieldValueInvalid"}),
    ("pods", objects.pod("a", restartPolicy="Sometimes"), {"spec.restartPolicy": "FieldValueNotSupported"}),
    ("pods", {"metadata": {"name": "a"}, "spec": {}}, {"spec.containers": "FieldValueRequired"}),
    (
        "pods",
        bad_pod(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        {"spec.containers[0].volumeMounts[0].name": "FieldValueNotFound"},
    ),
    (
        "pods",
        objects.pod("a", {"volumeMounts": [{"name": "v", "mountPath": "/v"}] * 2}, volumes=[{"name": "v"}]),
        {"spec.containers[0].volumeMounts[1].mountPath": "FieldValueInvalid"},
    ),
    (
        "pods",
        bad_pod(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
        {"spec.containers[0].env[0].valueFrom": "FieldValueInvalid"},
    ),
    ("pods", bad_pod(env=[{"value": "1"}]), {"spec.containers[0].env[0].name": "FieldValueRequired"}),
    (
        "pods",
        bad_pod(livenessProbe={"httpGet": {"port": 80}, "successThreshold": 2}),
        {"spec.containers[0].livenessProbe.successThreshold": "FieldValueInvalid"},
    ),
    (
        "pods",
        bad_pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        {"spec.containers[0].resources.requests": "FieldValueInvalid"},
    ),
    (
        "pods",
        objects.pod("a", volumes=[{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]),
        {"spec.volumes[1].name": "FieldValueDuplicate"},
    ),
    (
        "deployments",
        objects.deployment("a", selector={"matchLabels": {"app": "other"}}),
        {"spec.template.metadata.labels": "FieldValueInvalid"},
    ),
    ("deployments", objects.deployment("a", replicas=-1), {"spec.replicas": "FieldValueInvalid"}),
    (
        "deployments",
        objects.deployment("a", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        {"spec.strategy.rollingUpdate.maxUnavailable": "FieldValueInvalid"},
    ),
    (
        "deployments",
        objects.deployment("a", strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
        {"spec.strategy.rollingUpdate": "FieldValueForbidden"},
    ),
    ("services", objects.service("a", ports=[]), {"spec.ports": "FieldValueRequired"}),
    (
        "services",
        objects.service("a", ports=[{"port": 80}, {"port": 81}]),
        {"spec.ports[0].name": "FieldValueRequired", "spec.ports[1].name": "FieldValueRequired"},
    ),
    (
        "persistentvolumeclaims",
        {"metadata": {"name": "a"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}},
        {"spec.accessModes": "FieldValueRequired"},
    ),
    (
        "persistentvolumeclaims",
        {"metadata": {"name": "a"}, "spec": {"accessModes": ["ReadWriteOnce"]}},
        {"spec.resources[storage]": "FieldValueRequired"},
    ),
    ("configmaps", objects.config_map("a", {"not/a/key": "v"}), {"data[not/a/key]": "FieldValueInvalid"}),
]


@pytest.mark.parametrize(("plural", "body", "causes"), MANY, ids=[next(iter(each[2])) for each in MANY])
def test_an_object_that_cannot_be(api: Api, namespace: str, plural: str, body: Object, causes: dict[str, str]) -> None:
    answer = api.create(plural, namespace, body)
    told = answer.refused(422, "Invalid")
    found = {cause["field"]: cause["reason"] for cause in answer.body["details"]["causes"]}
    assert {field: found.get(field) for field in causes} == causes, told
    assert " is invalid: " in told and answer.body["details"]["name"] == "a"


@pytest.mark.parametrize("change", [{"spec": {"containers": [{"name": "main", "command": ["x"]}]}}])
def test_a_pod_stays_what_it_is(api: Api, namespace: str, change: Object) -> None:
    api.create("pods", namespace, objects.pod("a")).object()
    answer = api.patch("pods", namespace, "a", change, "strategic")
    assert "Forbidden: pod updates may not change fields" in answer.refused(422, "Invalid")
    # What KubernetesPodOperator does change.
    label = {"metadata": {"labels": {"already_checked": "True"}}}
    assert api.patch("pods", namespace, "a", label, "strategic").meta["labels"] == {"already_checked": "True"}
    api.delete("pods", namespace, "a", gracePeriodSeconds=0).object()


def test_logs_that_cannot_be_read(api: Api, namespace: str) -> None:
    assert api.get("pods", namespace, "none", "log").refused(404, "NotFound") == 'pods "none" not found'
    two = [{"name": name, "image": "python:3.11"} for name in ("one", "two")]
    body = objects.pod("a", restartPolicy="Never")
    body["spec"]["containers"] = two
    api.create("pods", namespace, body).object()
    told = api.get("pods", namespace, "a", "log").refused(400, "BadRequest")
    assert told == "a container name must be specified for pod a, choose one of: [one two]"
    told = api.get("pods", namespace, "a", "log", container="three").refused(400, "BadRequest")
    assert told == "container three is not valid for pod a"
    api.delete("pods", namespace, "a", gracePeriodSeconds=0).object()
