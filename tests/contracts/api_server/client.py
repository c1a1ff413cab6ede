"""Requests to an API server, and its answers as they come: status, headers, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject

Object = dict[str, Any]
GROUPS = {
    **dict.fromkeys(("deployments", "replicasets", "statefulsets"), "apis/apps/v1"),
    **dict.fromkeys(("applications", "applicationsets", "appprojects", "rollouts"), "apis/argoproj.io/v1alpha1"),
    **dict.fromkeys(("roles", "rolebindings"), "apis/rbac.authorization.k8s.io/v1"),
}
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is empty where it is no JSON."""

    status: int
    text: str
    body: Object
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def meta(self) -> Object:
        """The metadata of the object in it."""
        found: Object = self.body["metadata"]
        return found

    @property
    def fields(self) -> set[str]:
        """The fields that a Status complains of."""
        return {cause["field"] for cause in (self.body.get("details") or {}).get("causes") or []}

    def object(self) -> Object:
        """The object; the test fails where the answer is none."""
        assert 200 <= self.status < 300, f"{self.status}: {self.text}"
        return self.body

    def refused(self, status: int, reason: str = "") -> str:
        """The message of a Status with this code and reason; the test fails where the answer is something else."""
        assert self.status == status, f"{self.status} instead of {status}: {self.text}"
        assert self.body.get("kind") == "Status" and self.body["status"] == "Failure" and self.body["code"] == status
        assert reason in ("", self.body["reason"]), self.text
        message: str = self.body["message"]
        return message


def path(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL's path of a collection or an object."""
    parts = [GROUPS.get(plural, "api/v1"), *(["namespaces", namespace] if namespace else []), plural]
    return "/" + "/".join([*parts, *filter(None, (name, subresource))])


class Api:
    """Asks as a kubeconfig's user, or as the one whose token is given."""

    def __init__(self, configuration: Configuration, token: str = "") -> None:
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        told = configuration.auth_settings().get("BearerToken", {}).get("value")
        header = f"Bearer {token}" if token else told
        self._headers = {"Authorization": header} if header else {}

    def holding(self, token: str) -> Api:
        """The same server, asked with a token in place of the kubeconfig's user."""
        other = Configuration(host=self._configuration.host)
        other.ssl_ca_cert, other.verify_ssl = self._configuration.ssl_ca_cert, self._configuration.verify_ssl
        return Api(other, token)

    def ask(self, method: str, url: str, body: Any = None, content: str = "application/json", **query: Any) -> Answer:
        """One request. `body` is sent as JSON, a text as it is."""
        data = body if isinstance(body, str | None) else json.dumps(body)
        headers = {**self._headers, "Accept": "application/json", **({"Content-Type": content} if data else {})}
        # As it comes: urllib3 would wait by itself where the answer says how long.
        answer = self._pool.request(
            method, self._url(url, query), body=data, headers=headers, timeout=30, retries=False
        )
        text = answer.data.decode()
        document = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else {}
        return Answer(answer.status, text, document, answer.headers)

    def followed(self, namespace: str, pod: str, **query: Any) -> Iterator[str]:
        """The lines of a pod's log as they come, until the container ends."""
        url = self._url(path("pods", namespace, pod, "log"), {"follow": "true", **query})
        answer = self._pool.request("GET", url, headers=self._headers, preload_content=False, timeout=60)
        assert answer.status == 200, answer.data
        try:
            rest = b""
            for piece in answer.stream(None if answer.chunked else 1):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (line.decode() for line in lines)
        finally:
            answer.close()
            answer.release_conn()

    def _url(self, url: str, query: dict[str, Any]) -> str:
        return f"{self._configuration.host}{url}" + (f"?{urlencode(query)}" if query else "")

    def get(self, plural: str, namespace: str = "", name: str = "", subresource: str = "", **query: Any) -> Answer:
        """Read an object, a subresource or a list."""
        return self.ask("GET", path(plural, namespace, name, subresource), **query)

    def create(self, plural: str, namespace: str, body: Any, **query: Any) -> Answer:
        """POST an object."""
        return self.ask("POST", path(plural, namespace), body, **query)

    def replace(self, plural: str, namespace: str, name: str, body: Any, subresource: str = "") -> Answer:
        """PUT an object or a subresource."""
        return self.ask("PUT", path(plural, namespace, name, subresource), body)

    def patch(
        self,
        plural: str,
        namespace: str,
        name: str,
        body: Any,
        style: str = "merge",
        subresource: str = "",
        **query: Any,
    ) -> Answer:
        """PATCH in one of the styles of `PATCHES`."""
        return self.ask("PATCH", path(plural, namespace, name, subresource), body, PATCHES[style], **query)

    def apply(self, plural: str, namespace: str, body: Object, manager: str, **query: Any) -> Answer:
        """Server-side apply."""
        return self.patch(plural, namespace, body["metadata"]["name"], body, "apply", fieldManager=manager, **query)

    def delete(self, plural: str, namespace: str, name: str = "", options: Any = None, **query: Any) -> Answer:
        """DELETE an object, or all that the query selects."""
        return self.ask("DELETE", path(plural, namespace, name), options, **query)

    def watch(self, plural: str, namespace: str, count: int, **query: Any) -> list[Object]:
        """The first `count` events of a watch, fewer where it ends before (it ends after 10 s by itself)."""
        url = self._url(path(plural, namespace), {"watch": "true", "timeoutSeconds": 10, **query})
        answer = self._pool.request("GET", url, headers=self._headers, preload_content=False, timeout=30)
        events, rest = [], b""
        try:
            for piece in answer.stream(None if answer.chunked else 1):
                *lines, rest = (rest + piece).split(b"\n")
                events += [json.loads(line) for line in lines if line]
                if len(events) >= count:
                    break
        finally:
            answer.close()
            answer.release_conn()
        return events[:count]
