"""The end of a bad candidate: one commit takes it away, and the run fails with what was wrong with it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import CandidateRefused, LifecycleError
from lifecycle.model.names import COMMIT_CANDIDATE, PROMOTE, PROVE_CANDIDATE, WAIT_FOR_CANDIDATE, beside
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, RolloutEvent
from lifecycle.operators.undo import UndoOperator
from lifecycle.policy.rollout import rollout_error
from lifecycle.settings import settings
from lifecycle.steps import handoff, proof
from lifecycle.tasks.failures import reasons
from lifecycle.triggers.application import watch

if TYPE_CHECKING:
    from airflow.sdk import Context

DOC = "Only after a candidate that failed: takes it away by one commit, waits until it is gone, and fails."


class DiscardCandidateOperator(UndoOperator):
    """Takes this run's candidate away from beside the live version, waits until it is gone, and fails with both facts.

    It skips if `commit_candidate` changed nothing. It never succeeds, and never touches what is live.

    The parameters are those of `UndoOperator`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"doc_md": DOC, **kwargs})

    def execute(self, context: Context) -> None:
        """Commit, and hand the waiting over to the triggerer: the candidate's pod holds memory, perhaps a GPU."""
        tried = self._tried(context)
        if tried is None:
            raise AirflowSkipException("This run has no candidate, so there is nothing to take away.")
        run, pin = context["dag_run"], Pin.from_xcom(tried["pin"])
        gone = handoff.discard(
            self.target,
            self.registered_model,
            pin,
            dag_run=f"{run.dag_id}/{run.run_id}",
            delivery=self.delivery,
        )
        if gone.outcome == "requested":
            raise self._refused(
                context, f"The merge request {gone.request_url} takes the candidate away: merge it now."
            )
        if gone.outcome not in handoff.CONTINUES or not gone.commit:
            raise self._refused(context, gone.detail)
        self.defer(
            trigger=watch(self.target.as_candidate, [gone.commit], [], time.time() + settings().rollout_timeout, None),
            method_name="resume",
            timeout=timedelta(seconds=settings().rollout_timeout + 120),
        )

    def resume(self, context: Context, event: RolloutEvent) -> NoReturn:
        """See that the candidate's server is gone, and fail."""
        commit = event["accepted"][0]
        try:
            if event["state"] not in ("ready", "other"):
                raise rollout_error(self.target, commit, event)
            proof.prove_absent(self.target.as_candidate)
        except LifecycleError as error:
            raise self._refused(
                context, f"Commit {commit} took the candidate away, and it is not known to be gone: {error}"
            ) from error
        raise self._refused(context, f"Commit {commit} took the candidate away, and its server is gone.")

    def _refused(self, context: Context, what_became: str) -> CandidateRefused:
        asked = (WAIT_FOR_CANDIDATE, PROVE_CANDIDATE, PROMOTE)
        said = reasons(context["ti"], [beside(self.task_id, name) for name in asked])
        why = said[-1] if said else "see the log of the task that failed."
        tried = self._tried(context)
        words = (
            f"The candidate {Pin.from_xcom(tried['pin']).words}" if tried else "The candidate of a run that was cleared"
        )
        live = f" What is live was not touched: {Pin.from_xcom(tried['former']).words}." if tried else ""
        return CandidateRefused(f"{words} of {self.registered_model} did not go live: {why} {what_became}{live}")

    def _tried(self, context: Context) -> DeliveredCommit | None:
        """What `commit_candidate` returned; None: it changed nothing, or the run was cleared."""
        tried = context["ti"].xcom_pull(task_ids=beside(self.task_id, COMMIT_CANDIDATE))
        return cast(DeliveredCommit | None, tried)
