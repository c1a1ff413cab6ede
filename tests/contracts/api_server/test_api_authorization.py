"""Who may ask what: tokens of ServiceAccounts, and the rules of Roles."""

from __future__ import annotations

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, path
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("api-server")
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"], "verbs": ["get"]},
    {"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["get", "list", "patch"]},
]


@pytest.fixture
def account(api: Api, namespace: str) -> Api:
    """Requests by the account `reader`, which a Role lets see pods and annotate Applications."""
    api.create("serviceaccounts", namespace, {"metadata": {"name": "reader"}}).object()
    api.create("roles", namespace, {"metadata": {"name": "some"}, "rules": RULES}).object()
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}
    binding = {"metadata": {"name": "some"}, "roleRef": role, "subjects": [subject]}
    api.create("rolebindings", namespace, binding).object()
    answer = api.ask("POST", path("serviceaccounts", namespace, "reader", "token"), {"spec": {}})
    assert (answer.status, answer.body["kind"]) == (201, "TokenRequest")
    mine = api.holding(answer.body["status"]["token"])
    # The authorizer reads Roles by a watch, so it may be a moment behind.
    until("the Role acts", lambda: mine.get("pods", namespace).status == 200, seconds=10)
    return mine


HERE, THERE, EVERYWHERE = 'in the namespace "{0}"', 'in the namespace "default"', "at the cluster scope"
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/{0}/applications/a"


@pytest.mark.parametrize(
    ("method", "url", "verb", "what", "resource", "group", "where"),
    [
        ("GET", "/api/v1/namespaces/{0}/pods?watch=true", "watch", "pods", "pods", "", HERE),
        ("POST", "/api/v1/namespaces/{0}/pods", "create", "pods", "pods", "", HERE),
        ("DELETE", "/api/v1/namespaces/{0}/pods", "deletecollection", "pods", "pods", "", HERE),
        ("GET", "/api/v1/namespaces/{0}/pods/a/log", "get", 'pods "a"', "pods/log", "", HERE),
        ("GET", "/api/v1/pods", "list", "pods", "pods", "", EVERYWHERE),
        ("GET", "/api/v1/namespaces/default/pods", "list", "pods", "pods", "", THERE),
        (
            "GET",
            "/apis/apps/v1/namespaces/{0}/deployments/other/scale",
            *("get", 'deployments.apps "other"', "deployments/scale", "apps", HERE),
        ),
        ("DELETE", APPLICATION, "delete", 'applications.argoproj.io "a"', "applications", "argoproj.io", HERE),
        ("PUT", APPLICATION, "update", 'applications.argoproj.io "a"', "applications", "argoproj.io", HERE),
    ],
)
def test_what_no_role_allows(
    account: Api, namespace: str, method: str, url: str, verb: str, what: str, resource: str, group: str, where: str
) -> None:
    answer = account.ask(method, url.format(namespace), None if method in ("GET", "DELETE") else {})
    user = f"system:serviceaccount:{namespace}:reader"
    assert answer.refused(403, "Forbidden") == (
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}" '
        + where.format(namespace)
    )


def test_what_a_role_allows(api: Api, account: Api, namespace: str) -> None:
    account.get("pods", namespace, "none").refused(404, "NotFound")
    api.create("deployments", namespace, objects.deployment("web")).object()
    scale = account.get("deployments", namespace, "web", "scale").object()
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {}, "app=web")
    api.create("applications", namespace, objects.application("a")).object()
    asked = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
    assert account.patch("applications", namespace, "a", asked).meta["annotations"] == asked["metadata"]["annotations"]
    assert len(account.get("applications", namespace).object()["items"]) == 1


def test_a_403_names_what_was_asked_for(account: Api, namespace: str) -> None:
    answer = account.get("secrets", namespace, "a")
    answer.refused(403, "Forbidden")
    assert answer.body["details"] == {"name": "a", "kind": "secrets"}


def test_a_patch_needs_the_right_of_a_patch_whatever_it_does(account: Api, namespace: str) -> None:
    # Server-side apply of what is not there also creates, and asks for that right.
    answer = account.apply("configmaps", namespace, objects.config_map("a"), "someone")
    assert "cannot patch resource" in answer.refused(403, "Forbidden")
    made = account.apply("applications", namespace, objects.application("new"), "someone")
    assert "cannot create resource" in made.refused(403, "Forbidden")


def test_a_token_that_nobody_gave(api: Api, namespace: str) -> None:
    answer = api.holding("no-such-token").get("pods", namespace)
    assert answer.refused(401, "Unauthorized") == "Unauthorized"


def test_a_token_ends_with_its_account(api: Api, account: Api, namespace: str) -> None:
    api.delete("serviceaccounts", namespace, "reader").object()
    # The server keeps a good token's answer for some seconds.
    until("the token has ended", lambda: account.get("pods", namespace).status == 401, seconds=30)


def test_a_person_asks_what_they_may(api: Api, account: Api, namespace: str) -> None:
    url = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def may(who: Api, verb: str, resource: str, group: str = "", name: str = "") -> bool:
        asked = {"verb": verb, "resource": resource, "group": group, "namespace": namespace, "name": name}
        answer = who.ask("POST", url, {"spec": {"resourceAttributes": asked}})
        assert answer.status == 201
        return bool(answer.body["status"]["allowed"])

    assert may(api, "*", "*", "*")
    assert may(account, "list", "pods") and not may(account, "create", "pods")
    assert may(account, "patch", "applications", "argoproj.io")
