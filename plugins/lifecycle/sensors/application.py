"""Waits, without holding a worker, until Argo CD has rolled out a commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from lifecycle.model.names import COMMIT_KEY
from lifecycle.model.results import RolledOut, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.settings import settings
from lifecycle.steps import rollout
from lifecycle.tasks.failures import handed_on
from lifecycle.triggers.application import watch

if TYPE_CHECKING:
    from airflow.sdk import Context

DOC = "Waits, holding no worker, until Argo CD reports the commit synced and healthy."


class ApplicationRolloutSensor(BaseOperator):
    """Succeeds when an Application is synced and healthy at a commit, or at a descendant with the same pin.

    Fails at once with Argo CD's own message when the sync fails or the Application is Degraded, and after `timeout`
    with what it was waiting for and the reasons that the serving pods gave. Skips when a newer commit has moved the
    model on: then that commit's run decides. Returns `commit` (what went to the branch) and `revision` (where the
    rollout was seen). A commit that was delivered by merge request is first waited for, until the request is merged.

    :param environment: folder under argocd-apps/, and namespace of what serves. (templated)
    :param app: folder under the environment. (templated)
    :param model: Triton's model name. (templated)
    :param commit: the commit to wait for. (templated)
    :param version: the version that this commit pins. (templated)
    :param code_commit: the commit of the code that it pins; empty: whichever. (templated)
    :param request_url: the merge request that brings the commit; none: the commit is on the branch. (templated)
    :param delivery: how the stage has its commits delivered; empty: as the setting says. (templated)
    :param candidate: whether the commit brings a candidate, which is then what is waited for; not templated.
    :param timeout: seconds; none: the setting LIFECYCLE_ROLLOUT_TIMEOUT.
    """

    template_fields: Sequence[str] = (
        *("environment", "app", "model", "commit", "version", "code_commit", "request_url", "delivery"),
    )

    def __init__(
        self,
        *,
        environment: str,
        app: str,
        model: str,
        commit: Any,
        version: Any,
        code_commit: Any = "",
        request_url: Any = None,
        delivery: Any = "",
        candidate: bool = False,
        timeout: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"doc_md": DOC, **kwargs})
        self.environment = environment
        self.app = app
        self.model = model
        self.commit = commit
        self.version = version
        self.code_commit = code_commit
        self.request_url = request_url
        self.delivery = delivery
        self.candidate = candidate
        self.timeout = timeout

    @property
    def target(self) -> Target:
        """The served model, or its candidate."""
        return Target(self.environment, self.app, self.model, self.candidate)

    def execute(self, context: Context) -> None:
        """Hand over to the triggerer, once the commit is on the branch."""
        ti = context["ti"]
        if self.request_url:
            with handed_on(ti):
                self.commit = merged_commit(
                    self.request_url, since=ti.get_first_reschedule_date(context), delivery=self.delivery
                )
        ti.xcom_push(key=COMMIT_KEY, value=self.commit)
        limit = self.timeout or settings().rollout_timeout
        self.log.info("Waiting up to %d s for %s at commit %s", limit, self.target.application, self.commit)
        self._watch(self._awaited([self.commit], [], time.time() + limit))

    def _awaited(self, accepted: list[str], older: list[str], deadline: float) -> rollout.Awaited:
        return rollout.Awaited(self.target, int(self.version), self.code_commit or "", accepted, older, deadline)

    def _watch(self, awaited: rollout.Awaited) -> NoReturn:
        # The trigger itself keeps the time and says what it waited for; Airflow's limit is only a backstop.
        self.defer(
            trigger=watch(awaited.target, awaited.accepted, awaited.older, awaited.deadline, awaited.version),
            method_name="resume",
            timeout=timedelta(seconds=max(awaited.deadline - time.time(), 0) + 120),
        )

    def resume(self, context: Context, event: RolloutEvent) -> RolledOut:
        """Continue with what the trigger saw."""
        self.commit = event["accepted"][0]
        awaited = self._awaited(event["accepted"], event["older"], event["deadline"])
        try:
            with handed_on(context["ti"]):
                found = rollout.conclude(awaited, event)
        except rollout.Superseded as newer:
            raise AirflowSkipException(str(newer)) from newer
        if isinstance(found, rollout.Awaited):
            self._watch(found)
        return found


def merged_commit(request_url: str, *, since: datetime | None, delivery: str = "") -> str:
    """Return the commit that a merge request became; until then, ask Airflow to look again later.

    Raises:
        RolloutFailed: the request was closed, or is open for longer than the setting says.
        AirflowRescheduleException: it is open.
    """
    now = datetime.now(UTC)
    waited = (now - since).total_seconds() if since else 0.0
    if commit := rollout.merged_commit(request_url, waited, delivery=delivery):
        return commit
    again = now + timedelta(seconds=settings().merge_poll)
    raise AirflowRescheduleException(again)  # type: ignore[no-untyped-call]
