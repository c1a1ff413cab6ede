"""Who may do what: the rules of the Roles that a namespace's RoleBindings give to a user.

Only these two kinds: a ClusterRole is nothing that this repository renders. What is not allowed is a 403 in the words
of a real API server. https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from sandbox.kube.errors import ApiError
from sandbox.kube.http.authentication import MASTERS, User
from sandbox.kube.http.request import Target, flag
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Object, Store

_OF_ONE = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_OF_ALL = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


@dataclass(frozen=True)
class Action:
    """What is asked, in RBAC's terms; `resource` has the subresource after a slash."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


def action(request: web.Request, asked: Target) -> Action:
    """The action of a request."""
    verb = (_OF_ONE if asked.name else _OF_ALL).get(request.method, request.method.lower())
    if verb == "list" and flag(request, "watch"):
        verb = "watch"
    resource = f"{asked.kind.plural}/{asked.subresource}" if asked.subresource else asked.kind.plural
    return Action(verb, asked.kind.group, resource, asked.namespace or "", asked.name or "")


REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def review(store: Store, user: User, asked: Object) -> Object:
    """Answer a SelfSubjectAccessReview: whether the one who asks may do what is in it."""
    wanted = (asked.get("spec") or {}).get("resourceAttributes") or {}
    resource, subresource = wanted.get("resource", ""), wanted.get("subresource", "")
    told = Action(
        wanted.get("verb", ""),
        wanted.get("group", ""),
        f"{resource}/{subresource}" if subresource else resource,
        wanted.get("namespace", ""),
        wanted.get("name", ""),
    )
    try:
        authorize(store, user, told)
        status = {"allowed": True}
    except ApiError:
        status = {"allowed": False}
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    return {**kind, "metadata": {}, "spec": asked.get("spec") or {}, "status": status}


def authorize(store: Store, user: User, wanted: Action) -> None:
    """Raises ApiError 403 unless the user is an administrator or some rule allows it."""
    if MASTERS in user.groups or any(_allows(rule, wanted) for rule in _rules(store, user, wanted.namespace)):
        return
    where = f"in the namespace {_quoted(wanted.namespace)}" if wanted.namespace else "at the cluster scope"
    plural = wanted.resource.partition("/")[0]
    resource = f"{plural}.{wanted.group}" if wanted.group else plural
    what = f"{resource} {_quoted(wanted.name)}" if wanted.name else resource
    raise ApiError(
        403,
        f"{what} is forbidden: User {_quoted(user.name)} cannot {wanted.verb} resource {_quoted(wanted.resource)} "
        f"in API group {_quoted(wanted.group)} {where}",
        details={"name": wanted.name, "group": wanted.group, "kind": plural},
    )


def _rules(store: Store, user: User, namespace: str) -> Iterator[Object]:
    if not namespace:
        return
    for binding in store.list(kinds.ROLE_BINDING, namespace):
        if not any(_is(user, subject, namespace) for subject in binding.get("subjects") or []):
            continue
        reference = binding["roleRef"]
        role = store.find(kinds.ROLE, namespace, reference["name"]) if reference["kind"] == "Role" else None
        yield from (role or {}).get("rules") or []


def _is(user: User, subject: Object, namespace: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return subject["name"] in (user.groups if subject["kind"] == "Group" else {user.name})


def _allows(rule: Object, wanted: Action) -> bool:
    _, _, subresource = wanted.resource.partition("/")
    resources = {"*", wanted.resource, *([f"*/{subresource}"] if subresource else [])}
    names = rule.get("resourceNames") or []
    return (
        not {"*", wanted.verb}.isdisjoint(rule.get("verbs") or [])
        and not {"*", wanted.group}.isdisjoint(rule.get("apiGroups") or [])
        and not resources.isdisjoint(rule.get("resources") or [])
        and (not names or wanted.name in names)
    )


def _quoted(text: str) -> str:
    return f'"{text}"'
