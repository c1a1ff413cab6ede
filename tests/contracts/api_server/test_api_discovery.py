"""What clients ask first: versions, groups, kinds; and kubectl, which rests on all of it."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api
from tests.contracts.api_server.servers import ApiServer, kubectl

pytestmark = pytest.mark.xdist_group("api-server")


def test_the_version(api: Api) -> None:
    found = api.ask("GET", "/version").object()
    assert found["major"] == "1" and int(found["minor"].rstrip("+")) >= 30
    assert found["gitVersion"].startswith("v1.")
    assert api.ask("GET", "/readyz").text == "ok"


def test_groups_and_kinds(api: Api) -> None:
    assert api.ask("GET", "/api").object()["versions"] == ["v1"]
    groups = {each["name"]: each["preferredVersion"] for each in api.ask("GET", "/apis").object()["groups"]}
    assert groups["apps"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert groups["argoproj.io"]["version"] == "v1alpha1"
    for url, wanted in {
        "/api/v1": {"pods": "Pod", "pods/log": "Pod", "configmaps": "ConfigMap", "namespaces": "Namespace"},
        "/apis/apps/v1": {
            "deployments": "Deployment",
            "deployments/scale": "Scale",
            "deployments/status": "Deployment",
        },
        "/apis/argoproj.io/v1alpha1": {"applications": "Application", "applicationsets/status": "ApplicationSet"},
    }.items():
        found = {each["name"]: each for each in api.ask("GET", url).object()["resources"]}
        assert {name: found[name]["kind"] for name in wanted} == wanted
        assert "applications/status" not in found
    pods = {each["name"]: each for each in api.ask("GET", "/api/v1").object()["resources"]}["pods"]
    assert (pods["singularName"], pods["shortNames"], pods["namespaced"]) == ("pod", ["po"], True)
    assert {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} == set(pods["verbs"])


def test_kubectl_applies_changes_and_reads(server: ApiServer, api: Api, namespace: str) -> None:
    def run(*arguments: str, bodies: tuple[object, ...] = ()) -> str:
        done = kubectl(server, namespace, *arguments, text=yaml.safe_dump_all(bodies))
        assert done.returncode == 0, done.stderr
        return done.stdout

    one, other = objects.config_map("a", {"k": "1"}), objects.deployment("w")
    told = run("apply", "--server-side", "--field-manager=cluster-up", "-f", "-", bodies=(one, other))
    assert told.splitlines() == ["configmap/a serverside-applied", "deployment.apps/w serverside-applied"]
    assert "configmap/b created" in run("apply", "-f", "-", bodies=(objects.config_map("b", {"k": "1"}),))
    assert "configmap/b configured" in run("apply", "-f", "-", bodies=(objects.config_map("b", {"l": "1"}),))
    found = json.loads(run("get", "configmaps", "a", "b", "--output=json"))
    assert [(each["kind"], each["data"]) for each in found["items"]] == [
        ("ConfigMap", {"k": "1"}), ("ConfigMap", {"l": "1"}),
    ]  # fmt: skip
    run("scale", "deployment/w", "--replicas=0")
    run("label", "app.argoproj.io,cm", "--all", "x=1")
    assert run("get", "cm", "--selector=x=1", "--output=name").splitlines()[:2] == ["configmap/a", "configmap/b"]
    assert run("get", "pod", "none", "--ignore-not-found", "--output=json") == ""
    assert "configmap/a condition met" in run("wait", "--for=jsonpath={.data.k}=1", "configmap/a", "--timeout=5s")
    assert run("delete", "configmap", "a", "--wait", "--timeout=5s").startswith('configmap "a" deleted')


def test_kubectl_tells_what_the_server_says(server: ApiServer, namespace: str) -> None:
    done = kubectl(server, namespace, "get", "configmap", "none")
    assert done.returncode == 1 and done.stderr == 'Error from server (NotFound): configmaps "none" not found\n'
    body = json.dumps(objects.deployment("a", replicas=-1))
    done = kubectl(server, namespace, "create", "-f", "-", text=body)
    assert done.returncode == 1 and 'The Deployment "a" is invalid: spec.replicas: Invalid value: -1' in done.stderr
    done = kubectl(server, namespace, "get", "no-such-kinds")
    assert done.returncode == 1 and 'the server doesn\'t have a resource type "no-such-kinds"' in done.stderr
