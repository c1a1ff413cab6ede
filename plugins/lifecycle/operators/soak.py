"""A version's time in a stage before it may go to the next, without holding a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from lifecycle.errors import SoakFailed, StatisticsUnavailable
from lifecycle.hooks.kubernetes import endpoint
from lifecycle.hooks.statistics import prometheus_conduct
from lifecycle.model.names import VERSION_LABEL
from lifecycle.model.results import SoakEvent
from lifecycle.model.target import Target
from lifecycle.policy.soak import Conduct, Counters, why_not
from lifecycle.settings import settings
from lifecycle.triggers.soak import SoakTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

DOC = "Waits, holding no worker, and then asks whether the version's requests failed or took too long."


class SoakOperator(BaseOperator):
    """Succeeds when a version has been live for `seconds` and its requests stayed within the settings' limits.

    Returns how it did, in words. Figures come from Prometheus where LIFECYCLE_PROMETHEUS_URL names one, else from
    Triton's own statistics. Without any request there is nothing that speaks against the version.

    :param environment: folder under argocd-apps/, and namespace of what serves. (templated)
    :param app: folder under the environment. (templated)
    :param model: Triton's model name. (templated)
    :param version: the version. (templated)
    :param since: seconds since the epoch at which it was proved live. (templated)
    :param seconds: how long it has to be live; 0: nothing is asked. (templated)
    """

    template_fields: Sequence[str] = ("environment", "app", "model", "version", "since", "seconds")

    def __init__(
        self, *, environment: str, app: str, model: str, version: Any, since: Any, seconds: Any, **kwargs: Any
    ) -> None:
        super().__init__(**{"doc_md": DOC, **kwargs})
        self.environment = environment
        self.app = app
        self.model = model
        self.version = version
        self.since = since
        self.seconds = seconds

    @property
    def target(self) -> Target:
        """The served model."""
        return Target(self.environment, self.app, self.model)

    def execute(self, context: Context) -> str:
        """Hand over to the triggerer until the time is over; a retry does not begin it again."""
        if not float(self.seconds):
            return "no soak is asked for"
        chosen, until = settings(), float(self.since) + float(self.seconds)
        left = max(until - time.time(), 0.0)
        self.log.info("Version %s has to be live in %s for %.0f s more", self.version, self.environment, left)
        self.defer(
            trigger=SoakTrigger(
                kubernetes_conn_id=chosen.kubernetes_conn_id,
                namespace=self.target.namespace,
                selector=f"{self.target.selector},{VERSION_LABEL}={self.version}",
                model=self.model,
                url=endpoint(self.target).url if chosen.serving_url else "",
                until=until,
                poll=chosen.soak_poll,
                settle=chosen.rollout_settle,
            ),
            method_name="resume",
            timeout=timedelta(seconds=left + chosen.soak_poll + 300),
        )

    def resume(self, context: Context, event: SoakEvent) -> str:
        """Judge what was counted."""
        chosen = settings()
        if chosen.prometheus_url:
            conduct = prometheus_conduct(chosen.prometheus_url, self.target, int(float(self.seconds)))
        elif not event["servers"]:
            raise StatisticsUnavailable(
                f"No server of version {self.version} in {self.environment}/{self.app} told how it does. "
                f"{event['trouble']}"
            )
        else:
            conduct = Conduct.of(Counters(event["requests"], event["failures"], event["nanoseconds"]))
        problem = why_not(
            conduct,
            max_failure_ratio=chosen.soak_max_failure_ratio,
            max_latency_ms=chosen.soak_max_latency_ms,
        )
        if problem:
            raise SoakFailed(
                f"Version {self.version} of {self.model} does not go on: in {self.environment}, {problem}. It stays "
                "live there; to go back, use yolo_rollback."
            )
        self.log.info("In %s, %s", self.environment, conduct.words)
        return conduct.words
