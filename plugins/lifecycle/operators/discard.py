"""The end of a bad candidate: one commit takes it away, and the run fails with what was wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import CandidateRefused
from lifecycle.model.names import COMMIT_CANDIDATE, PROVE_CANDIDATE, WAIT_FOR_CANDIDATE
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit
from lifecycle.model.target import Target
from lifecycle.tasks import handoff
from lifecycle.tasks.failures import reasons

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lifecycle.gitops import Delivery

DOC = "Only after a candidate that failed: takes it away by one commit, and fails with the reason."


class DiscardCandidateOperator(BaseOperator):
    """Takes this run's candidate away from beside the live version, and then fails with both facts.

    It skips if `commit_candidate` changed nothing. It never succeeds, and never touches what is live.

    :param environment: folder under argocd-apps/, and namespace of what serves. (templated)
    :param app: folder under the environment. (templated)
    :param model: Triton's model name. (templated)
    :param registered_model: MLflow's registered model. (templated)
    """

    template_fields: Sequence[str] = ("environment", "app", "model", "registered_model")

    def __init__(self, *, environment: str, app: str, model: str, registered_model: str, **kwargs: Any) -> None:
        super().__init__(**{"doc_md": DOC, **kwargs})
        self.environment = environment
        self.app = app
        self.model = model
        self.registered_model = registered_model

    def execute(self, context: Context) -> NoReturn:
        """Commit, and fail."""
        tried = cast(DeliveredCommit | None, context["ti"].xcom_pull(task_ids=COMMIT_CANDIDATE))
        if not tried:
            raise AirflowSkipException("This run has no candidate, so there is nothing to take away.")
        run, target = context["dag_run"], Target(self.environment, self.app, self.model)
        pin = Pin.from_xcom(tried["pin"])
        gone = handoff.discard(target, self.registered_model, pin, dag_run=f"{run.dag_id}/{run.run_id}")
        said = reasons(context["ti"], [WAIT_FOR_CANDIDATE, PROVE_CANDIDATE])
        why = said[-1] if said else "see the log of the task that failed."
        raise CandidateRefused(
            f"The candidate {pin.words} of {self.registered_model} did not go live: {why} {_what_became(gone)}"
        )


def _what_became(gone: Delivery) -> str:
    live = f"What is live was not touched: {gone.former.words}."
    if gone.outcome == "requested":
        return f"The merge request {gone.request_url} takes the candidate away: merge it now. {live}"
    if gone.outcome in handoff.CONTINUES:
        return f"Commit {gone.commit} took the candidate away. {live}"
    return f"{gone.detail} {live}"
