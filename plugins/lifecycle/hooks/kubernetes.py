"""Reads from the Kubernetes API, for tasks on a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

from lifecycle.cluster.names import Target
from lifecycle.errors import ClusterError, ClusterUnavailable, ObjectMissing

HTTP_PORT = "http"
GRPC_PORT = "grpc"


@dataclass(frozen=True)
class Endpoint:
    """Where a served model answers: an HTTP URL, and host:port for gRPC."""

    url: str
    grpc_url: str


class Cluster:
    """What tasks ask the cluster, through the Kubernetes provider's hook.

    :param kubernetes_conn_id: the Airflow connection.
    """

    def __init__(self, kubernetes_conn_id: str) -> None:
        self._hook = KubernetesHook(conn_id=kubernetes_conn_id)

    def endpoint(self, target: Target) -> Endpoint:
        """Return the addresses of the model's Service.

        Raises:
            ClusterError: there is no Service with the model's labels, or more than one.
        """
        found = self._list("service", target)
        if len(found) != 1:
            names = ", ".join(service["metadata"]["name"] for service in found) or "none"
            raise ClusterError(
                f"Expected one Service with labels {target.selector} in namespace {target.namespace!r}, found {names}. "
                f"The chart makes it from argocd-apps/{target.environment}/{target.app}/; look at the Application "
                f"{target.application}."
            )
        spec = found[0]["spec"]
        ports = {port["name"]: port["port"] for port in spec["ports"]}
        return Endpoint(f"http://{spec['clusterIP']}:{ports[HTTP_PORT]}", f"{spec['clusterIP']}:{ports[GRPC_PORT]}")

    def pods(self, target: Target) -> list[dict[str, Any]]:
        """Return the model's pods."""
        return self._list("pod", target)

    def _list(self, kind: str, target: Target) -> list[dict[str, Any]]:
        read = getattr(self._hook.core_v1_client, f"list_namespaced_{kind}")
        with typed_errors(f"list {kind}s in namespace {target.namespace!r}"):
            response = read(target.namespace, label_selector=target.selector, _preload_content=False)
            items: list[dict[str, Any]] = json.loads(response.data)["items"]
            return items


@contextmanager
def typed_errors(action: str) -> Iterator[None]:
    """Turn the Kubernetes clients' exceptions (either client) into this package's, naming what was attempted."""
    from aiohttp import ClientError
    from kubernetes.client.exceptions import ApiException
    from kubernetes_asyncio.client.exceptions import ApiException as AsyncApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, AsyncApiException) as error:
        text = f"{error.status} {error.reason}: {' '.join(str(error.body or '').split())}"
        if error.status in (409, 429) or (error.status or 500) >= 500:
            raise ClusterUnavailable(f"The Kubernetes API could not {action}: {text}") from error
        if error.status == 404:
            raise ObjectMissing(f"The Kubernetes API could not {action}, because there is none: {text}") from error
        raise ClusterError(
            f"The Kubernetes API refused to {action}: {text} Check that the service account "
            "of the Airflow connection may do this."
        ) from error
    except (HTTPError, ClientError, TimeoutError, OSError) as error:
        raise ClusterUnavailable(
            f"The Kubernetes API did not answer the request to {action}: {error or type(error).__name__}. Check the "
            "Airflow connection to the cluster."
        ) from error
