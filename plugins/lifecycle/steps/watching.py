"""Watches one Application until it can be said how a revision's rollout ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lifecycle.errors import LifecycleError, ObjectMissing
from lifecycle.hooks.kubernetes import AsyncClusterHook
from lifecycle.model.names import VERSION_LABEL
from lifecycle.model.results import End, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.policy import kserve
from lifecycle.policy.application import State, Verdict, judge
from lifecycle.policy.backoff import pauses
from lifecycle.policy.deployment import judge_deployment
from lifecycle.policy.kserve import served_by_kserve
from lifecycle.policy.pods import RESTART_LIMIT, crash_looping, not_fitting, pod_troubles
from lifecycle.policy.workloads import workload_troubles
from lifecycle.settings import settings
from lifecycle.steps.kserve import Kserve

log = logging.getLogger(__name__)

# Whose health decides, once Argo CD has synced the revision: the Application's, that of the version's own Deployment
# (a live version that is Degraded must not keep a candidate from it), or nobody's.
Health = Literal["application", "deployment", "none"]
# What an event says of a verdict; one that still waits has met its deadline.
ENDS: dict[State, End] = {
    State.READY: "ready",
    State.FAILED: "failed",
    State.CRASHING: "crashing",
    State.OTHER: "other",
    State.WAITING: "timeout",
}

# How many times in a row the API may refuse before it is believed: an API server that has just started says 403 until
# it has read the Roles.
REFUSALS = 3


@dataclass(kw_only=True)
class RolloutWatch:
    """What is watched, and how often.

    Attributes:
        kubernetes_conn_id: the connection to the cluster.
        namespace: the Applications' namespace.
        application: the Application's name.
        accepted: the wanted commit and revisions known to hold it.
        older: revisions known not to hold it.
        deadline: seconds since the epoch at which to give up.
        pods_namespace: where the serving pods are.
        pods_selector: their label selector; asked for reasons when the rollout fails or takes too long.
        version: the version, or the label of a folder, that is rolled out (`Pin.label`); its pods are looked at while
            it waits, so that a server that ends again and again fails the rollout long before Argo CD's Deployment
            does (its progress deadline). None: no look.
        health: whose health counts, see `Health`; the Deployment is found by `pods_selector`.
        poll: seconds between two looks.
        refresh_interval: seconds between two requests to Argo CD to look at git.
    """

    kubernetes_conn_id: str
    namespace: str
    application: str
    accepted: list[str]
    older: list[str]
    deadline: float
    pods_namespace: str
    pods_selector: str
    poll: float
    refresh_interval: float
    version: int | str | None = None
    health: Health = "application"
    # Set where the Application turns out to be KServe's.
    kserve: Kserve | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(
        cls, target: Target, accepted: list[str], older: list[str], deadline: float, version: int | str | None
    ) -> RolloutWatch:
        """Of a target and the pin's label that is rolled out (None: nothing), with the settings' intervals.

        Of a candidate, only its own Deployment counts, and where it is taken away, nothing: a live version may be
        Degraded.
        """
        chosen = settings()
        beside: Health = "none" if version is None else "deployment"
        return cls(
            kubernetes_conn_id=chosen.kubernetes_conn_id,
            namespace=chosen.argocd_namespace,
            application=target.application,
            accepted=accepted,
            older=older,
            deadline=deadline,
            pods_namespace=target.namespace,
            pods_selector=target.selector,
            poll=chosen.rollout_poll,
            refresh_interval=chosen.refresh_interval,
            version=version,
            health=beside if target.candidate else "application",
        )

    @property
    def _hook(self) -> AsyncClusterHook:
        return AsyncClusterHook(self.kubernetes_conn_id)

    async def end(self, patience: float = 0.0) -> RolloutEvent:
        """Look until there is an end to report.

        Args:
            patience: seconds for which an unknown revision is none: right after a commit it is nearly always the one
                before, which Argo CD is about to leave.
        """
        try:
            verdict = await self._watch(time.monotonic() + patience)
        except LifecycleError as error:
            return self._event("error", Verdict(State.WAITING, str(error)), "", retryable=error.retryable)
        wants_reasons = verdict.state in (State.WAITING, State.FAILED, State.CRASHING)
        return self._event(ENDS[verdict.state], verdict, await self._troubles() if wants_reasons else "")

    def _event(self, state: End, verdict: Verdict, troubles: str, *, retryable: bool = False) -> RolloutEvent:
        return {
            "state": state,
            "message": verdict.message,
            "revision": verdict.revision,
            "troubles": troubles,
            "retryable": retryable,
            "accepted": self.accepted,
            "older": self.older,
            "deadline": self.deadline,
        }

    async def _watch(self, patient_until: float) -> Verdict:
        """Return the first verdict that is not `waiting`, or the last one at the deadline."""
        refreshed, said, outage, refused = 0.0, "", 0, 0
        verdict = Verdict(State.WAITING, "the Application was not read yet")
        while True:
            try:
                if time.monotonic() - refreshed >= self.refresh_interval or not refreshed:
                    await self._hook.request_refresh(self.namespace, self.application)
                    refreshed = time.monotonic()
                verdict = await self._look()
                if verdict.state is State.WAITING and verdict.revision:
                    verdict = await self._seen_in_pods(verdict)
                outage = refused = 0
            except LifecycleError as error:
                outage += 1
                refused = 0 if error.retryable else refused + 1
                # An Application that is not there may still be made: its ApplicationSet has not seen the folder yet.
                passing = error.retryable or isinstance(error, ObjectMissing) or refused < REFUSALS
                if not passing or (error.retryable and time.time() >= self.deadline):
                    raise
                verdict = Verdict(State.WAITING, str(error))
            if verdict.message != said:
                log.info("%s: %s", self.application, verdict.message)
                said = verdict.message
            leaving = verdict.state is State.OTHER and time.monotonic() < patient_until
            if not (verdict.state is State.WAITING or leaving) or time.time() >= self.deadline:
                return verdict
            # An API server that is unreachable is asked less and less often, at most every 30 seconds.
            await asyncio.sleep(min(self.poll * 2 ** min(outage, 6), max(self.poll, 30.0)))

    async def _look(self) -> Verdict:
        application = await self._hook.application(self.namespace, self.application)
        accepted, older = set(self.accepted), set(self.older)
        self.kserve = None
        if served_by_kserve(application):
            self.kserve = Kserve(self._hook, self.pods_namespace, self.pods_selector, self.version)
        own = self.kserve is not None
        verdict = judge(application, accepted, older, health=self.health == "application" and not own)
        if self.kserve is not None:
            return verdict if verdict.state is not State.READY else await self.kserve.look(verdict)
        if self.health != "deployment" or verdict.state is not State.READY:
            return verdict
        found = await self._hook.deployments(self.pods_namespace, self.pods_selector)
        return judge_deployment(found, self.version, verdict.revision)

    async def _seen_in_pods(self, verdict: Verdict) -> Verdict:
        """A verdict that waits, with what the version's pods add: servers that do not come up end it."""
        if self.version is None:
            return verdict
        selector, limit = f"{self.pods_selector},{VERSION_LABEL}={self.version}", RESTART_LIMIT
        if self.kserve is not None:
            selector, limit = self.kserve.new_pods, kserve.RESTART_LIMIT
        if not selector:
            return verdict
        try:
            pods = await self._hook.pods(self.pods_namespace, selector)
        except LifecycleError as error:
            log.debug("The serving pods could not be asked: %s", error)
            return verdict
        if looping := crash_looping(pods, limit):
            return Verdict(State.CRASHING, f"its server ends again and again in {looping}", verdict.revision)
        if unplaced := not_fitting(pods, time.time()):
            return replace(verdict, message=f"{verdict.message}; {unplaced}")
        return verdict

    async def _troubles(self) -> str:
        """What the Deployments and pods say; a reason that cannot be had must not hide the rollout's own."""
        selector = self.kserve.all_pods if self.kserve is not None else self.pods_selector
        where = (self.pods_namespace, selector)
        found = [
            await self._patiently("Deployments", lambda: self._hook.workloads(*where), workload_troubles),
            await self._patiently("serving pods", lambda: self._hook.pods(*where), pod_troubles),
        ]
        return "; ".join(text for text in found if text)

    async def _patiently(
        self,
        what: str,
        ask: Callable[[], Awaitable[list[dict[str, Any]]]],
        tell: Callable[[list[dict[str, Any]]], str],
    ) -> str:
        """What objects tell; asked again while the API fails for a passing reason."""
        waits = pauses(settings().kubernetes_retries)
        while True:
            try:
                return tell(await ask())
            except LifecycleError as error:
                pause = next(waits, None) if error.retryable else None
                if pause is None:
                    return f"the {what} could not be asked: {error}"
                await asyncio.sleep(pause)
