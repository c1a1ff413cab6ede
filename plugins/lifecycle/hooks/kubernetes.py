"""The Kubernetes API: what tasks and triggers ask it, and its errors in this package's types.

Which cluster it is, the connection of one id says: Airflow's, or that of the pod that a step runs in.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle.connections import connections
from lifecycle.errors import ClusterError, ClusterUnavailable, LifecycleError, ObjectMissing
from lifecycle.model.names import GRPC_PORT, HTTP_PORT, KSERVE_GROUP, KSERVE_LABEL, REFRESH_ANNOTATION
from lifecycle.model.target import Endpoint, Target
from lifecycle.policy.backoff import pauses
from lifecycle.policy.candidate import quantity
from lifecycle.settings import settings

log = logging.getLogger(__name__)
GROUP, VERSION, PLURAL = "argoproj.io", "v1alpha1", "applications"
MERGE_PATCH = "application/merge-patch+json"
REFRESH = {"metadata": {"annotations": {REFRESH_ANNOTATION: "normal"}}}


class ClusterHook:
    """What tasks ask the cluster. A request that fails for a passing reason is repeated as the settings say.

    :param kubernetes_conn_id: the connection.
    :param retries: how often; none: as the setting says.
    """

    def __init__(self, kubernetes_conn_id: str, *, retries: int | None = None) -> None:
        self._conn_id = kubernetes_conn_id
        self._retries = settings().kubernetes_retries if retries is None else retries

    @classmethod
    def from_settings(cls, *, retries: int | None = None) -> ClusterHook:
        """With the connection that the settings name."""
        return cls(settings().kubernetes_conn_id, retries=retries)

    @property
    def _client(self) -> Any:
        return connections().kubernetes(self._conn_id)

    def application(self, namespace: str, name: str) -> dict[str, Any]:
        """Return an Argo CD Application.

        Raises:
            ObjectMissing: there is none of that name.
        """
        from kubernetes.client import CustomObjectsApi

        return self._ask(
            f"read the Application {namespace}/{name}",
            lambda: CustomObjectsApi(self._client).get_namespaced_custom_object,
            (GROUP, VERSION, namespace, PLURAL, name),
        )

    def request_refresh(self, namespace: str, name: str) -> None:
        """Ask Argo CD to look at git now, as `AsyncClusterHook` does."""
        from kubernetes.client import CustomObjectsApi

        self._ask(
            f"annotate the Application {namespace}/{name}",
            lambda: CustomObjectsApi(self._client).patch_namespaced_custom_object,
            (GROUP, VERSION, namespace, PLURAL, name, REFRESH),
            _content_type=MERGE_PATCH,
        )

    def endpoint(self, target: Target) -> Endpoint:
        """Return the addresses of the model's Service.

        Raises:
            ClusterError: there is no Service with the model's labels, or more than one.
        """
        # KServe's own Services carry what the InferenceService is labelled with.
        found = [each for each in self._list("service", target) if not _of_kserve(each)]
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

    def replicas(self, target: Target) -> list[str]:
        """Return the URL of each pod behind the model's Service, where KServe runs them; else none.

        An InferenceService, and more so a TrainedModel, says nothing of what each of its pods serves.
        """
        for service in self._list("service", target):
            name = (service["spec"].get("selector") or {}).get(KSERVE_LABEL)
            if name and not _of_kserve(service):
                port = next(each["targetPort"] for each in service["spec"]["ports"] if each["name"] == HTTP_PORT)
                pods = self._list("pod", target, f"{KSERVE_LABEL}={name}")
                there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
                return [f"http://{ip}:{port}" for pod in there if (ip := pod.get("status", {}).get("podIP"))]
        return []

    def is_trained_model(self, target: Target) -> bool:
        """Whether KServe's agent loads the model into a pod that is there (a TrainedModel)."""
        from kubernetes.client import CustomObjectsApi

        try:
            self._ask(
                f"list TrainedModels in namespace {target.namespace!r}",
                lambda: CustomObjectsApi(self._client).get_namespaced_custom_object,
                (KSERVE_GROUP, "v1alpha1", target.namespace, "trainedmodels", target.model),
            )
        except ObjectMissing:
            return False
        return True

    def memory(self, target: Target) -> int | None:
        """Return the bytes that the model's pods use, most of any; None where they were not measured yet.

        Raises:
            ObjectMissing: this cluster has no metrics server.
        """
        from kubernetes.client import CustomObjectsApi

        found = self._ask(
            f"read what the pods of {target.model} use in namespace {target.namespace!r}",
            lambda: CustomObjectsApi(self._client).list_namespaced_custom_object,
            ("metrics.k8s.io", "v1beta1", target.namespace, "pods"),
            label_selector=target.selector,
        )
        used = [sum(quantity(each["usage"]["memory"]) for each in pod["containers"]) for pod in found["items"]]
        return max(used, default=None)

    def _list(self, kind: str, target: Target, selector: str = "") -> list[dict[str, Any]]:
        # Objects as the API gives them; unlike the asynchronous client, this one raises for an error all the same.
        from kubernetes.client import CoreV1Api

        found: list[dict[str, Any]] = self._ask(
            f"list {kind}s in namespace {target.namespace!r}",
            lambda: getattr(CoreV1Api(self._client), f"list_namespaced_{kind}"),
            (target.namespace,),
            label_selector=selector or target.selector,
            _preload_content=False,
        )["items"]
        return found

    def _ask(
        self, action: str, method: Callable[[], Any], arguments: tuple[Any, ...], **options: Any
    ) -> dict[str, Any]:
        """Call a method of the client, again where the reason may pass; the answer as an object."""
        options["_request_timeout"] = settings().kubernetes_timeout
        waits = pauses(self._retries)
        while True:
            try:
                with typed_errors(action):
                    response = method()(*arguments, **options)
                    return answered(action, response.data if hasattr(response, "data") else response)
            except LifecycleError as error:
                pause = next(waits, None) if error.retryable else None
                if pause is None:
                    raise
                log.info("%s Trying again in %.0f s.", error, pause)
                time.sleep(pause)


class AsyncClusterHook:
    """What triggers ask the cluster. Each call is one request: triggers ask again by themselves.

    :param kubernetes_conn_id: the connection to the cluster.
    """

    def __init__(self, kubernetes_conn_id: str) -> None:
        self._conn_id = kubernetes_conn_id

    async def application(self, namespace: str, name: str) -> dict[str, Any]:
        """Return an Argo CD Application.

        Raises:
            ObjectMissing: there is none of that name.
        """
        return await self._ask(
            f"read the Application {namespace}/{name}",
            "CustomObjectsApi.get_namespaced_custom_object",
            *(GROUP, VERSION, namespace, PLURAL, name),
        )

    async def request_refresh(self, namespace: str, name: str) -> None:
        """Ask Argo CD to look at git now; it polls only every few minutes by itself."""
        await self._ask(
            f"annotate the Application {namespace}/{name}",
            "CustomObjectsApi.patch_namespaced_custom_object",
            *(GROUP, VERSION, namespace, PLURAL, name),
            REFRESH,
            _content_type=MERGE_PATCH,
        )

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the pods with these labels, as the API gives them (camelCase)."""
        return await self._list("pods", namespace, "CoreV1Api.list_namespaced_pod", namespace, label_selector=selector)

    async def deployments(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the Deployments with these labels, as the API gives them (camelCase)."""
        return await self._list(
            "Deployments", namespace, "AppsV1Api.list_namespaced_deployment", namespace, label_selector=selector
        )

    async def kserve(self, namespace: str, plural: str, selector: str) -> list[dict[str, Any]]:
        """Return KServe's objects with these labels; none where the cluster does not know their kind."""
        version = "v1beta1" if plural == "inferenceservices" else "v1alpha1"
        method = "CustomObjectsApi.list_namespaced_custom_object"
        where = (KSERVE_GROUP, version, namespace, plural)
        try:
            return await self._list(plural, namespace, method, *where, label_selector=selector)
        except ObjectMissing:
            return []

    async def workloads(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the Deployments with these labels, and the Rollouts where the cluster knows them, with their kind."""
        workloads = [{"kind": "Deployment", **each} for each in await self.deployments(namespace, selector)]
        try:
            rollouts = await self._list(
                "Rollouts",
                namespace,
                "CustomObjectsApi.list_namespaced_custom_object",
                *(GROUP, VERSION, namespace, "rollouts"),
                label_selector=selector,
            )
        except ObjectMissing:  # Argo Rollouts is not installed
            return workloads
        return [*workloads, *({"kind": "Rollout", **each} for each in rollouts)]

    async def _list(self, what: str, namespace: str, method: str, *arguments: Any, **options: Any) -> list[Any]:
        found = await self._ask(f"list {what} in namespace {namespace!r}", method, *arguments, **options)
        items: list[Any] = found["items"]
        return items

    async def _ask(self, action: str, method: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Call `<api>.<method>` of the client. With the raw answer, the client leaves its status to the caller."""
        from kubernetes_asyncio import client

        api, _, name = method.partition(".")
        with typed_errors(action):
            async with connections().kubernetes_async(self._conn_id) as connection:
                call = getattr(getattr(client, api)(connection), name)
                seconds = settings().kubernetes_timeout
                response = await call(*arguments, _preload_content=False, _request_timeout=seconds, **options)
                body = await response.read()
        if not 200 <= response.status <= 299:
            raise refusal(action, response.status, response.reason, body.decode(errors="replace"))
        return answered(action, body)


def _of_kserve(service: dict[str, Any]) -> bool:
    """Whether KServe made the Service."""
    return KSERVE_LABEL in (service["metadata"].get("labels") or {})


def endpoint(target: Target, *, retries: int | None = None) -> Endpoint:
    """Where the model answers: the setting's URL, or its Service in the cluster (`retries`: as `ClusterHook` has them).

    Raises:
        LifecycleError: the cluster cannot tell.
    """
    chosen = settings()
    if not chosen.serving_url:
        return ClusterHook.from_settings(retries=retries).endpoint(target)
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
            "connection to the cluster."
        ) from error


def answered(action: str, answer: Any) -> dict[str, Any]:
    """The object in a successful answer.

    Raises:
        ClusterUnavailable: it holds none; what stands between here and the API server may answer for it.
    """
    try:
        found = json.loads(answer) if isinstance(answer, bytes | str) else answer
    except ValueError:
        found = None
    if not isinstance(found, dict) or (str(found.get("kind", "")).endswith("List") and "items" not in found):
        said = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
        raise ClusterUnavailable(
            f"The Kubernetes API was asked to {action}, and what answered is not it: {' '.join(said.split())[:200]} "
            "Check the address in the connection to the cluster, and any proxy on the way."
        )
    return found


def refusal(action: str, status: int | None, reason: str | None, body: object) -> LifecycleError:
    """The error for an answer that is no success: worth a retry, or for a person to fix."""
    text = f"{status} {reason}: {' '.join(str(body or '').split())}"
    if status in (409, 429) or (status or 500) >= 500:
        return ClusterUnavailable(f"The Kubernetes API could not {action}: {text}")
    if status == 404:
        return ObjectMissing(f"The Kubernetes API could not {action}, because there is none: {text}")
    return ClusterError(
        f"The Kubernetes API refused to {action}: {text} Check that the service account "
        "of the connection may do this: charts/foundation makes its Roles."
    )
