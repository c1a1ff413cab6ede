"""An API server that has too much to do: its answer is no Status, and says when to ask again."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest
import yaml

from tests.contracts.api_server.client import Api, Object, path
from tests.contracts.api_server.servers import ApiServer
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("api-server")
FLOW_CONTROL = "/apis/flowcontrol.apiserver.k8s.io/v1"
NO_SEATS = {
    "type": "Limited",
    "limited": {
        "nominalConcurrencyShares": 0,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Reject"},
    },
}


@pytest.fixture
def token(api: Api, namespace: str) -> str:
    """Of an account that may do all with ConfigMaps in the namespace."""
    api.create("serviceaccounts", namespace, {"metadata": {"name": "busy"}}).object()
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    api.create("roles", namespace, {"metadata": {"name": "busy"}, "rules": rules}).object()
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "busy"}
    subject = {"kind": "ServiceAccount", "name": "busy", "namespace": namespace}
    api.create(
        "rolebindings", namespace, {"metadata": {"name": "busy"}, "roleRef": role, "subjects": [subject]}
    ).object()
    answer = api.ask("POST", path("serviceaccounts", namespace, "busy", "token"), {"spec": {}})
    found: str = answer.object()["status"]["token"]
    mine = api.holding(found)
    until("the Role acts", lambda: mine.get("configmaps", namespace).status == 200, seconds=10)
    return found


@contextmanager
def throttled(server: ApiServer, api: Api, namespace: str, token: str) -> Iterator[None]:
    """While it lasts the server has no time for the namespace's accounts."""
    cluster = yaml.safe_load(server.kubeconfig.read_text())["clusters"][0]["cluster"]
    with ExitStack() as stack:
        if server.real:
            schema, mine = stack.enter_context(no_seats(api, namespace)), api.holding(token)

            def acts() -> bool:
                asked = mine.get("configmaps", namespace)
                return asked.headers.get("X-Kubernetes-Pf-Flowschema-Uid") == schema["metadata"]["uid"]

            until("the FlowSchema acts", acts, seconds=60)
            stack.enter_context(unfinished_request(cluster, namespace, token))
        else:
            stack.enter_context(faults(cluster["server"], {"429": 1}))
        yield


@contextmanager
def no_seats(api: Api, namespace: str) -> Iterator[Object]:
    """API Priority and Fairness lets in one request at a time of the namespace's accounts; yields its FlowSchema."""
    account = {"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": namespace}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    schema = {
        "priorityLevelConfiguration": {"name": namespace},
        "matchingPrecedence": 2,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": [account], "resourceRules": [everything]}],
    }
    made: dict[str, Object] = {"prioritylevelconfigurations": NO_SEATS, "flowschemas": schema}
    try:
        for plural, spec in made.items():
            there = api.ask(
                "POST", f"{FLOW_CONTROL}/{plural}", {"metadata": {"name": namespace}, "spec": spec}
            ).object()
        yield there
    finally:
        for plural in reversed(made):
            api.ask("DELETE", f"{FLOW_CONTROL}/{plural}/{namespace}")


@contextmanager
def unfinished_request(cluster: dict[str, str], namespace: str, token: str) -> Iterator[None]:
    """The one request that is let in: its body never comes."""
    url = urlsplit(cluster["server"])
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    connection = tls.wrap_socket(socket.create_connection((url.hostname, url.port)), server_hostname=url.hostname)
    head = (
        f"POST {path('configmaps', namespace)} HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {token}",
        "Content-Type: application/json", "Content-Length: 99", "", "{",
    )  # fmt: skip
    with closing(connection):
        connection.sendall("\r\n".join(head).encode())
        yield


@contextmanager
def faults(address: str, shares: dict[str, float]) -> Iterator[None]:
    """The sandbox's switch."""

    def put(body: dict[str, float]) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{address}/faults", json.dumps(body).encode(), method="PUT"))

    put(shares)
    try:
        yield
    finally:
        put({})


def test_too_many_requests(server: ApiServer, api: Api, namespace: str, token: str) -> None:
    mine = api.holding(token)
    with throttled(server, api, namespace, token):
        until("it is refused", lambda: mine.get("configmaps", namespace).status == 429, seconds=30)
        answer = mine.create("configmaps", namespace, {"metadata": {"name": "a"}})
        assert (answer.status, answer.body) == (429, {}), answer.text
        assert answer.text == "Too many requests, please try again later.\n"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Retry-After"] == "1"
        assert api.get("configmaps", namespace).status == 200, "others are served"
    until("it is served again", lambda: mine.get("configmaps", namespace).status == 200, seconds=30)
    assert [each["metadata"]["name"] for each in mine.get("configmaps", namespace).object()["items"]] != ["a"]
