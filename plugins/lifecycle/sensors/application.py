"""Waits, without holding a worker, until Argo CD has rolled out a commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from lifecycle.errors import ClusterError, ClusterUnavailable, RolloutFailed
from lifecycle.hooks.gitops import repository
from lifecycle.model.names import COMMIT_KEY
from lifecycle.model.pin import Pin
from lifecycle.model.results import RolledOut, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.policy.rollout import rollout_error
from lifecycle.settings import settings
from lifecycle.tasks.failures import handed_on
from lifecycle.triggers.application import watch

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

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
    :param uri: in place of it, the folder that this commit pins, of a model that is not made here. (templated)
    :param code_commit: the commit of the code that it pins; empty: whichever. (templated)
    :param request_url: the merge request that brings the commit; none: the commit is on the branch. (templated)
    :param delivery: how the stage has its commits delivered; empty: as the setting says. (templated)
    :param candidate: whether the commit brings a candidate, which is then what is waited for; not templated.
    :param timeout: seconds; none: the setting LIFECYCLE_ROLLOUT_TIMEOUT.
    """

    template_fields: Sequence[str] = (
        *("environment", "app", "model", "commit", "version", "uri", "code_commit", "request_url", "delivery"),
    )

    def __init__(
        self,
        *,
        environment: str,
        app: str,
        model: str,
        commit: Any,
        version: Any = None,
        uri: Any = "",
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
        self.uri = uri
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
        self._watch([self.commit], [], time.time() + limit)

    def _watch(self, accepted: list[str], older: list[str], deadline: float) -> NoReturn:
        wanted = Pin(None, "", "", uri=self.uri).label if self.uri else int(self.version)
        trigger = watch(self.target, accepted, older, deadline, wanted)
        # The trigger itself keeps the time and says what it waited for; Airflow's limit is only a backstop.
        self.defer(
            trigger=trigger,
            method_name="resume",
            timeout=timedelta(seconds=max(deadline - time.time(), 0) + 120),
        )

    def resume(self, context: Context, event: RolloutEvent) -> RolledOut:
        """Continue with what the trigger saw."""
        self.commit = event["accepted"][0]
        with handed_on(context["ti"]):
            return self._conclude(event)

    def _conclude(self, event: RolloutEvent) -> RolledOut:
        state, message = event["state"], event["message"]
        if state == "ready":
            self.log.info("%s is %s at revision %s", self.target.application, message, event["revision"])
            return {"commit": self.commit, "revision": event["revision"]}
        if state == "error":
            raise (ClusterUnavailable if event["retryable"] else ClusterError)(message)
        self._skip_if_superseded()
        if state == "other":
            self._look_at(event["revision"], event)
        raise rollout_error(self.target, self.commit, event)

    def _skip_if_superseded(self) -> None:
        target = self.target
        pinned, tip = repository().read(target.environment, target.app, target.model)
        found = pinned.candidate if self.candidate else pinned.pin
        as_what = "the candidate " if self.candidate else ""
        if self.uri and found is not None:
            if found.uri == self.uri:
                return
            raise AirflowSkipException(
                f"Superseded: commit {self.commit} pinned {self.uri} as {target.model}, and at {tip} the file pins "
                f"{found.words}. This run leaves the decision to whoever wrote it."
            )
        if found is None or found.version != int(self.version):
            pins = f"{as_what}version {found.version if found else None}"
        elif self.code_commit and found.code_commit != self.code_commit:
            pins = f"{as_what}{found.words_with_code}, not with that of {self.code_commit[:12]}"
        else:
            return
        raise AirflowSkipException(
            f"Superseded: commit {self.commit} pinned {as_what}version {self.version} of {target.model}, and at {tip} "
            f"the file pins {pins}. This run leaves the decision to whoever wrote it."
        )

    def _look_at(self, revision: str, event: RolloutEvent) -> NoReturn:
        """Argo CD is at a revision that may or may not hold the commit: find out, and watch on."""
        relation = repository().relation(self.commit, revision)
        if relation == "commit_gone":
            raise RolloutFailed(
                f"Commit {self.commit} is not on the branch {settings().gitops_branch!r} any more: somebody rewrote "
                "the branch, or more commits came since than are looked at. Look at the branch, then run the DAG "
                "again or roll back with yolo_rollback."
            )
        if relation == "contains":
            self.log.info("Revision %s holds commit %s", revision, self.commit)
            self._watch([*event["accepted"], revision], event["older"], event["deadline"])
        self.log.info("Revision %s is from before commit %s", revision, self.commit)
        self._watch(event["accepted"], [*event["older"], revision], event["deadline"])


def merged_commit(request_url: str, *, since: datetime | None, delivery: str = "") -> str:
    """Return the commit that a merge request became; until then, ask Airflow to look again later.

    Raises:
        RolloutFailed: the request was closed, or is open for longer than the setting says.
        AirflowRescheduleException: it is open.
    """
    now, chosen = datetime.now(UTC), settings()
    state = repository(delivery).request_state(request_url)
    if state.state == "merged" and state.merge_commit:
        return state.merge_commit
    if state.state == "closed":
        raise RolloutFailed(f"The merge request {request_url} was closed and not merged: nothing changes.")
    if since is not None and now - since > timedelta(seconds=chosen.merge_timeout):
        raise RolloutFailed(
            f"The merge request {request_url} is still open after {chosen.merge_timeout} s. Merge it and clear this "
            "task, or close it."
        )
    log.info("The merge request %s is %s; looking again in %d s", request_url, state.state, chosen.merge_poll)
    again = now + timedelta(seconds=chosen.merge_poll)
    raise AirflowRescheduleException(again)  # type: ignore[no-untyped-call]
