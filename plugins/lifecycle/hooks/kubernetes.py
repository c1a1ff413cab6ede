"""The Kubernetes API: what tasks and triggers ask it, and its errors in this package's types.

Both ask through the Kubernetes provider's own hooks, so that one Airflow connection says which cluster it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook

from lifecycle.errors import ClusterError, ClusterUnavailable, LifecycleError, ObjectMissing
from lifecycle.model.names import GRPC_PORT, HTTP_PORT, REFRESH_ANNOTATION
from lifecycle.model.target import Endpoint, Target
from lifecycle.policy.candidate import quantity
from lifecycle.settings import settings

GROUP, VERSION, PLURAL = "argoproj.io", "v1alpha1", "applications"
MERGE_PATCH = "application/merge-patch+json"
REFRESH = {"metadata": {"annotations": {REFRESH_ANNOTATION: "normal"}}}


class ClusterHook:
    """What tasks ask the cluster.

    :param kubernetes_conn_id: the Airflow connection.
    """

    def __init__(self, kubernetes_conn_id: str) -> None:
        self._hook = KubernetesHook(conn_id=kubernetes_conn_id)

    @classmethod
    def from_settings(cls) -> ClusterHook:
        """With the connection that the settings name."""
        return cls(settings().kubernetes_conn_id)

    def application(self, namespace: str, name: str) -> dict[str, Any]:
        """Return an Argo CD Application.

        Raises:
            ObjectMissing: there is none of that name.
        """
        with typed_errors(f"read the Application {namespace}/{name}"):
            found: dict[str, Any] = self._hook.get_custom_object(GROUP, VERSION, PLURAL, name, namespace)
            return found

    def request_refresh(self, namespace: str, name: str) -> None:
        """Ask Argo CD to look at git now, as `AsyncClusterHook` does."""
        from kubernetes.client import CustomObjectsApi

        with typed_errors(f"annotate the Application {namespace}/{name}"):
            CustomObjectsApi(self._hook.get_conn()).patch_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name, REFRESH, _content_type=MERGE_PATCH
            )

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

    def memory(self, target: Target) -> int | None:
        """Return the bytes that the model's pods use, most of any; None where they were not measured yet.

        Raises:
            ObjectMissing: this cluster has no metrics server.
        """
        from kubernetes.client import CustomObjectsApi

        with typed_errors(f"read the memory of pods in namespace {target.namespace!r}"):
            found: Any = CustomObjectsApi(self._hook.get_conn()).list_namespaced_custom_object(
                "metrics.k8s.io", "v1beta1", target.namespace, "pods", label_selector=target.selector
            )
        used = [sum(quantity(each["usage"]["memory"]) for each in pod["containers"]) for pod in found["items"]]
        return max(used, default=None)

    def _list(self, kind: str, target: Target) -> list[dict[str, Any]]:
        read = getattr(self._hook.core_v1_client, f"list_namespaced_{kind}")
        with typed_errors(f"list {kind}s in namespace {target.namespace!r}"):
            # Objects as the API gives them; unlike the asynchronous client, this one raises for an error all the same.
            response = read(target.namespace, label_selector=target.selector, _preload_content=False)
            items: list[dict[str, Any]] = json.loads(response.data)["items"]
            return items


class AsyncClusterHook:
    """What triggers ask the cluster.

    :param kubernetes_conn_id: the Airflow connection.
    """

    def __init__(self, kubernetes_conn_id: str) -> None:
        self._hook = AsyncKubernetesHook(conn_id=kubernetes_conn_id)

    async def application(self, namespace: str, name: str) -> dict[str, Any]:
        """Return an Argo CD Application.

        Raises:
            ObjectMissing: there is none of that name.
        """
        from kubernetes_asyncio.client import CustomObjectsApi

        with typed_errors(f"read the Application {namespace}/{name}"):
            async with self._hook.get_conn() as connection:
                found: dict[str, Any] = await CustomObjectsApi(connection).get_namespaced_custom_object(
                    GROUP, VERSION, namespace, PLURAL, name
                )
                return found

    async def request_refresh(self, namespace: str, name: str) -> None:
        """Ask Argo CD to look at git now; it polls only every few minutes by itself."""
        from kubernetes_asyncio.client import CustomObjectsApi

        with typed_errors(f"annotate the Application {namespace}/{name}"):
            async with self._hook.get_conn() as connection:
                applications: Any = CustomObjectsApi(connection)
                await applications.patch_namespaced_custom_object(
                    GROUP, VERSION, namespace, PLURAL, name, REFRESH, _content_type=MERGE_PATCH
                )

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the pods with these labels, as the API gives them (camelCase)."""
        from kubernetes_asyncio.client import CoreV1Api

        return await self._list(CoreV1Api, "pod", namespace, selector)

    async def deployments(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the Deployments with these labels, as the API gives them (camelCase)."""
        from kubernetes_asyncio.client import AppsV1Api

        return await self._list(AppsV1Api, "deployment", namespace, selector)

    async def _list(self, api: Any, kind: str, namespace: str, selector: str) -> list[dict[str, Any]]:
        action = f"list {kind}s in namespace {namespace!r}"
        with typed_errors(action):
            async with self._hook.get_conn() as connection:
                read = getattr(api(connection), f"list_namespaced_{kind}")
                response = await read(namespace, label_selector=selector, _preload_content=False)
                body = await response.read()
        # With the raw response this client leaves it to its caller to look at the status.
        if not 200 <= response.status <= 299:
            raise refusal(action, response.status, response.reason, body.decode(errors="replace"))
        items: list[dict[str, Any]] = json.loads(body)["items"]
        return items


def endpoint(target: Target) -> Endpoint:
    """Where the model answers: the setting's URL, or its Service in the cluster.

    Raises:
        LifecycleError: the cluster cannot tell.
    """
    chosen = settings()
    if not chosen.serving_url:
        return ClusterHook.from_settings().endpoint(target)
    names = {"environment": target.environment, "app": target.app, "model": target.model}
    if target.candidate:
        if not chosen.candidate_url:
            raise ClusterError(
                f"The candidate of {target.model} cannot be asked: LIFECYCLE_SERVING_URL is set, which names another "
                "address than the cluster's, and LIFECYCLE_CANDIDATE_URL is not. Set it, or release with proof: after."
            )
        return Endpoint(chosen.candidate_url.format(**names), "")
    return Endpoint(chosen.serving_url.format(**names), chosen.serving_grpc_url.format(**names))


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
        raise refusal(action, error.status, error.reason, error.body) from error
    except (HTTPError, ClientError, TimeoutError, OSError) as error:
        raise ClusterUnavailable(
            f"The Kubernetes API did not answer the request to {action}: {error or type(error).__name__}. Check the "
            "Airflow connection to the cluster."
        ) from error


def refusal(action: str, status: int | None, reason: str | None, body: object) -> LifecycleError:
    """The error for an answer that is no success: worth a retry, or for a person to fix."""
    text = f"{status} {reason}: {' '.join(str(body or '').split())}"
    if status in (409, 429) or (status or 500) >= 500:
        return ClusterUnavailable(f"The Kubernetes API could not {action}: {text}")
    if status == 404:
        return ObjectMissing(f"The Kubernetes API could not {action}, because there is none: {text}")
    return ClusterError(
        f"The Kubernetes API refused to {action}: {text} Check that the service account "
        "of the Airflow connection may do this."
    )
