"""Who asks: the kubeconfig's owner, or a ServiceAccount by a token that TokenRequest has handed out."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from sandbox.kube import clock
from sandbox.kube.errors import ApiError
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Object, Store

MASTERS = "system:masters"
# How long a token lasts where nothing else is asked for, as on a cluster.
LIFETIME = 3600


@dataclass(frozen=True)
class User:
    """A user's name and groups, as RBAC's subjects name them."""

    name: str
    groups: frozenset[str]


ADMIN = User("kubernetes-admin", frozenset({MASTERS, "system:authenticated"}))


class Authenticator:
    """Knows the administrator's secret and every token. Both come as a bearer token or as the URL's first part.

    kubectl sends no bearer token over plain http, and every client keeps a path in ``server`` (see kubeconfig.py).
    """

    def __init__(self, store: Store, secret: str) -> None:
        self._store = store
        self._secret = secret
        self._tokens: dict[str, tuple[str, str, float]] = {}

    def user(self, request: web.Request) -> User:
        """Who sent a request; a bearer token comes before the URL. Raises ApiError 401 for a secret unknown here."""
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer").strip() if header.startswith("Bearer") else ""
        token = token or request.match_info["secret"]
        if secrets.compare_digest(token.encode(), self._secret.encode()):
            return ADMIN
        namespace, name, ends = self._tokens.get(token, ("", "", 0.0))
        if ends < time.time() or self._store.find(kinds.SERVICE_ACCOUNT, namespace, name) is None:
            raise ApiError(401, "Unauthorized")
        return service_account(namespace, name)

    def request_token(self, account: Object, asked: Object) -> Object:
        """Answer a TokenRequest: a new token of the account."""
        spec = asked.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or LIFETIME)
        token = secrets.token_urlsafe(24)
        meta, ends = account["metadata"], time.time() + seconds
        self._tokens[token] = (meta["namespace"], meta["name"], ends)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "creationTimestamp": clock.now()},
            "spec": {**spec, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": clock.stamp(ends)},
        }


def service_account(namespace: str, name: str) -> User:
    """A ServiceAccount as a user."""
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"}
    return User(f"system:serviceaccount:{namespace}:{name}", frozenset(groups))
