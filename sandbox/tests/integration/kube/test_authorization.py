"""Who may ask what: tokens of ServiceAccounts, the rules of Roles, and bad answers on purpose."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from sandbox.tests.support.kube import Server, pod

RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"], "verbs": ["get"]},
]


def ask(url: str, token: str = "", method: str = "GET", body: Any = None) -> tuple[int, dict[str, Any]]:
    """Status and content of one request."""
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error) if "json" in error.headers["Content-Type"] else {}


@pytest.fixture
def token(server: Server, core: client.CoreV1Api, namespace: str) -> str:
    """Of the account `reader`, which a Role lets see pods."""
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "reader"}})
    rights = client.RbacAuthorizationV1Api(server.api_client)
    rights.create_namespaced_role(namespace, {"metadata": {"name": "sees-pods"}, "rules": RULES})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sees-pods"}
    binding = {"metadata": {"name": "sees-pods"}, "roleRef": role, "subjects": [subject]}
    rights.create_namespaced_role_binding(namespace, binding)
    status, answer = ask(
        f"{server.address}/api/v1/namespaces/{namespace}/serviceaccounts/reader/token", method="POST", body={"spec": {}}
    )
    assert (status, answer["kind"]) == (201, "TokenRequest")
    found: str = answer["status"]["token"]
    return found


def test_an_account_may_do_what_its_roles_say_and_nothing_else(server: Server, namespace: str, token: str) -> None:
    base, here = f"{server.address}/api/v1", f"{server.address}/api/v1/namespaces/{namespace}"
    account = f"system:serviceaccount:{namespace}:reader"
    assert ask(f"{here}/pods", token)[1]["kind"] == "PodList"
    assert ask(f"{here}/pods/none", token)[0] == 404, "what may be seen and is not there"
    apps = f"{server.address}/apis/apps/v1/namespaces/{namespace}/deployments"
    assert ask(f"{apps}/web/scale", token)[0] == 404
    for method, url, said in (
        ("GET", f"{here}/pods?watch=true", 'pods is forbidden: User "{}" cannot watch resource "pods" in API group ""'),
        ("POST", f"{here}/pods", 'pods is forbidden: User "{}" cannot create resource "pods" in API group ""'),
        ("DELETE", f"{here}/pods", 'cannot deletecollection resource "pods"'),
        ("GET", f"{here}/pods/a/log", 'pods "a" is forbidden: User "{}" cannot get resource "pods/log"'),
        ("GET", f"{apps}/other/scale", 'deployments.apps "other" is forbidden: User "{}" cannot get resource'),
        ("GET", f"{base}/pods", 'cannot list resource "pods" in API group "" at the cluster scope'),
        ("GET", f"{base}/namespaces/default/pods", 'in API group "" in the namespace "default"'),
        ("GET", f"{here}/secrets", 'secrets is forbidden: User "{}" cannot list resource "secrets"'),
    ):
        status, answer = ask(url, token, method)
        assert (status, answer["kind"], answer["reason"]) == (403, "Status", "Forbidden"), url
        assert said.format(account) in answer["message"]


def test_a_token_is_an_address_too_and_ends_with_its_account(
    server: Server, core: client.CoreV1Api, namespace: str, token: str
) -> None:
    own = f"{server.address.rpartition('/')[0]}/{token}/api/v1/namespaces/{namespace}/pods"
    assert ask(own)[0] == 200
    assert ask(own.replace("/pods", "/secrets"))[0] == 403
    assert ask(f"{server.address}/version", "no-such-token")[0] == 401, "a token counts before the address"
    core.delete_namespaced_service_account("reader", namespace)
    status, answer = ask(own)
    assert (status, answer["reason"]) == (401, "Unauthorized")


def test_faults_hit_accounts_until_they_are_switched_off(
    server: Server, core: client.CoreV1Api, namespace: str, token: str
) -> None:
    pods = f"{server.address}/api/v1/namespaces/{namespace}/pods"
    faults = f"{server.address}/faults"
    shares = {"403": 0.25, "429": 0.25, "500": 0.25, "slow": 0.25, "slowSeconds": 0.05, "seed": 1}
    try:
        assert ask(faults, method="PUT", body=shares)[0] == 200
        assert {ask(pods, token)[0] for _ in range(40)} == {200, 403, 429, 500}
        assert core.list_namespaced_pod(namespace).items == [], "not the administrator"
        assert ask(faults, token, "PUT", {})[0] != 200
        assert ask(faults, method="PUT", body={"403": 2})[0] == 400
    finally:
        assert ask(faults, method="PUT", body={})[0] == 200
    assert {ask(pods, token)[0] for _ in range(20)} == {200}


def test_what_an_account_may_not_do_is_an_error_of_the_client(server: Server, namespace: str, token: str) -> None:
    configuration = client.Configuration(host=server.address)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(configuration) as connection:
        mine = client.CoreV1Api(connection)
        assert mine.list_namespaced_pod(namespace).items == []
        with pytest.raises(ApiException, match="cannot create resource"):
            mine.create_namespaced_pod(namespace, pod("p", "pass"))
