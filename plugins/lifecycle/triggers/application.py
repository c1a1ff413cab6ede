"""Watches one Application from the triggerer until it can say how a revision's rollout ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from lifecycle.argocd.status import State, Verdict, judge
from lifecycle.cluster.reads import typed_errors
from lifecycle.cluster.troubles import pod_troubles
from lifecycle.errors import LifecycleError, ObjectMissing

GROUP, VERSION, PLURAL = "argoproj.io", "v1alpha1", "applications"
REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"
MERGE_PATCH = "application/merge-patch+json"


class ApplicationTrigger(BaseTrigger):
    """Fires once, with `{"state", "message", "revision", "troubles"}`.

    `state` is one of `lifecycle.argocd.status.State` (never `waiting`), or `timeout`, or `error` (with `retryable`).
    The event carries `accepted`, `older` and `deadline` back, so that the task can go on where it was.

    :param kubernetes_conn_id: the Airflow connection to the cluster.
    :param namespace: the Applications' namespace.
    :param application: the Application's name.
    :param accepted: the wanted commit and revisions known to hold it.
    :param older: revisions known not to hold it.
    :param deadline: seconds since the epoch at which to give up.
    :param pods_namespace: where the serving pods are.
    :param pods_selector: their label selector; asked for reasons when the rollout fails or takes too long.
    :param poll: seconds between two looks.
    :param refresh_interval: seconds between two requests to Argo CD to look at git.
    :param settle: seconds before the first event. Airflow 3.3 fails a task whose trigger fires before the scheduler has
        drained the end of the worker's part (apache/airflow#72716); and Argo CD needs a moment to see the commit.
    """

    def __init__(
        self,
        *,
        kubernetes_conn_id: str,
        namespace: str,
        application: str,
        accepted: list[str],
        older: list[str],
        deadline: float,
        pods_namespace: str,
        pods_selector: str,
        poll: float,
        refresh_interval: float,
        settle: float,
    ) -> None:
        super().__init__()
        self.kubernetes_conn_id = kubernetes_conn_id
        self.namespace = namespace
        self.application = application
        self.accepted = accepted
        self.older = older
        self.deadline = deadline
        self.pods_namespace = pods_namespace
        self.pods_selector = pods_selector
        self.poll = poll
        self.refresh_interval = refresh_interval
        self.settle = settle
        self._hook = AsyncKubernetesHook(conn_id=kubernetes_conn_id)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        names = (
            *("kubernetes_conn_id", "namespace", "application", "accepted", "older", "deadline"),
            *("pods_namespace", "pods_selector", "poll", "refresh_interval", "settle"),
        )
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is an end to report."""
        started = time.monotonic()
        event = await self._end()
        await asyncio.sleep(max(0.0, started + self.settle - time.monotonic()))
        yield event

    async def _end(self) -> TriggerEvent:
        try:
            verdict = await self._watch()
        except LifecycleError as error:
            return self._event("error", Verdict(State.WAITING, str(error)), "", retryable=error.retryable)
        state = "timeout" if verdict.state is State.WAITING else verdict.state.value
        wants_reasons = verdict.state in (State.WAITING, State.FAILED)
        return self._event(state, verdict, await self._troubles() if wants_reasons else "")

    def _event(self, state: str, verdict: Verdict, troubles: str, *, retryable: bool = False) -> TriggerEvent:
        return TriggerEvent(
            {
                "state": state,
                "message": verdict.message,
                "revision": verdict.revision,
                "troubles": troubles,
                "retryable": retryable,
                "accepted": self.accepted,
                "older": self.older,
                "deadline": self.deadline,
            }
        )

    async def _watch(self) -> Verdict:
        """Return the first verdict that is not `waiting`, or the last one at the deadline."""
        refreshed, said, outage = 0.0, "", 0
        verdict = Verdict(State.WAITING, "the Application was not read yet")
        while True:
            try:
                if time.monotonic() - refreshed >= self.refresh_interval or not refreshed:
                    await self._request_refresh()
                    refreshed = time.monotonic()
                verdict = judge(await self._application(), set(self.accepted), set(self.older))
                outage = 0
            except LifecycleError as error:
                outage += 1
                # An Application that is not there may still be made: its ApplicationSet has not seen the folder yet.
                passing = error.retryable or isinstance(error, ObjectMissing)
                if not passing or (error.retryable and time.time() >= self.deadline):
                    raise
                verdict = Verdict(State.WAITING, str(error))
            if verdict.message != said:
                self.log.info("%s: %s", self.application, verdict.message)
                said = verdict.message
            if verdict.state is not State.WAITING or time.time() >= self.deadline:
                return verdict
            # An API server that is away is asked less and less often, at most every 30 seconds.
            await asyncio.sleep(min(self.poll * 2 ** min(outage, 6), max(self.poll, 30.0)))

    async def _application(self) -> dict[str, Any]:
        from kubernetes_asyncio.client import CustomObjectsApi

        with typed_errors(f"read the Application {self.namespace}/{self.application}"):
            async with self._hook.get_conn() as connection:
                found: dict[str, Any] = await CustomObjectsApi(connection).get_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, self.application
                )
                return found

    async def _request_refresh(self) -> None:
        """Ask Argo CD to look at git now; it polls only every few minutes by itself."""
        from kubernetes_asyncio.client import CustomObjectsApi

        body = {"metadata": {"annotations": {REFRESH_ANNOTATION: "normal"}}}
        with typed_errors(f"annotate the Application {self.namespace}/{self.application}"):
            async with self._hook.get_conn() as connection:
                applications: Any = CustomObjectsApi(connection)
                await applications.patch_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, self.application, body, _content_type=MERGE_PATCH
                )

    async def _troubles(self) -> str:
        """What the serving pods say; a reason that cannot be had must not hide the rollout's own."""
        from kubernetes_asyncio.client import CoreV1Api

        try:
            with typed_errors(f"list pods in namespace {self.pods_namespace!r}"):
                async with self._hook.get_conn() as connection:
                    pods: Any = CoreV1Api(connection)
                    response = await pods.list_namespaced_pod(
                        self.pods_namespace, label_selector=self.pods_selector, _preload_content=False
                    )
                    return pod_troubles(json.loads(await response.read())["items"])
        except LifecycleError as error:
            return f"the serving pods could not be asked: {error}"
