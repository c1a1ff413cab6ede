"""The way back: when a rollout fails, the former version returns by a commit of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle import handoff, proof
from lifecycle.argocd.sensor import COMMIT_KEY, outcome_error, watch
from lifecycle.cluster.names import Target
from lifecycle.errors import LifecycleError, Restored
from lifecycle.operators.failures import reasons
from lifecycle.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class RestoreOperator(BaseOperator):
    """Commits the former version back, waits until it answers, and then fails with both facts.

    It skips if `promote` changed nothing. It never succeeds: a run whose rollout failed has failed, also when what was
    live before is live again.

    :param environment: folder under argocd-apps/, and namespace of what serves. (templated)
    :param app: folder under the environment. (templated)
    :param model: Triton's model name. (templated)
    :param registered_model: MLflow's registered model. (templated)
    """

    template_fields: Sequence[str] = ("environment", "app", "model", "registered_model")

    def __init__(self, *, environment: str, app: str, model: str, registered_model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment
        self.app = app
        self.model = model
        self.registered_model = registered_model

    @property
    def target(self) -> Target:
        """The served model."""
        return Target(self.environment, self.app, self.model)

    def execute(self, context: Context) -> None:
        """Commit, and hand the waiting over to the triggerer."""
        promoted = self._promoted(context)
        if promoted is None:
            raise AirflowSkipException("This run changed nothing on the branch, so there is nothing to take back.")
        commit = self._commit_back(context, promoted)
        self.defer(
            trigger=watch(self.target, [commit], [], time.time() + settings().rollout_timeout),
            method_name="resume",
            timeout=timedelta(seconds=settings().rollout_timeout + 120),
        )

    def _commit_back(self, context: Context, promoted: dict[str, Any]) -> str:
        run = context["dag_run"]
        delivery = handoff.restore(self.target, self.registered_model, promoted, dag_run=f"{run.dag_id}/{run.run_id}")
        failed = self._what_failed(context, promoted)
        if delivery.outcome == "requested":
            raise Restored(
                f"{failed} The merge request {delivery.request_url} puts the former {_words(promoted['former'])} back: "
                "merge it now."
            )
        if delivery.outcome not in handoff.WENT_ON or not delivery.commit:
            raise Restored(f"{failed} The former version was not put back: {delivery.detail}")
        return delivery.commit

    def resume(self, context: Context, event: dict[str, Any]) -> NoReturn:
        """See whether the former version answers, and fail."""
        promoted = self._promoted(context) or {}
        failed, (commit, *_) = self._what_failed(context, promoted), event["accepted"]
        former = promoted["former"]
        try:
            if event["state"] not in ("ready", "other"):
                raise outcome_error(self.target, commit, event)
            back = self._prove(former)
        except LifecycleError as error:
            raise Restored(
                f"{failed} Commit {commit} pins the former {_words(former)} again, and it is not known to answer: "
                f"{error} Look at the Application {self.target.application}."
            ) from error
        raise Restored(f"{failed} {back} (commit {commit}, which reverts {promoted['commit']}).")

    def _prove(self, former: dict[str, Any]) -> str:
        name = f"{self.registered_model} {_words(former)}"
        if former["version"] is None:
            proof.prove_absent(self.target)
            return "Nothing was live before, and no server is left"
        proof.prove_identity(self.target, version=former["version"], sha256=former["sha256"])
        return f"The former {name} is back and answers"

    def _promoted(self, context: Context) -> dict[str, Any] | None:
        """What `promote` returned, with the commit on the branch; None if this run brought none there."""
        ti = context["ti"]
        promoted = ti.xcom_pull(task_ids="promote")
        if not promoted or not promoted["ours"]:
            return None
        if promoted["outcome"] != "requested":
            return dict(promoted)
        merged = ti.xcom_pull(task_ids="wait_for_rollout", key=COMMIT_KEY)
        return {**promoted, "commit": merged} if merged else None

    def _what_failed(self, context: Context, promoted: dict[str, Any]) -> str:
        said = reasons(context["ti"], ["wait_for_rollout", "verify_serving"])
        why = said[-1] if said else "see the log of the task that failed."
        version = promoted["pin"]["version"]
        return f"Version {version} of {self.registered_model} (commit {promoted['commit']}) did not go live: {why}"


def _words(pin: dict[str, Any]) -> str:
    return "state without a server" if pin["version"] is None else f"version {pin['version']}"
