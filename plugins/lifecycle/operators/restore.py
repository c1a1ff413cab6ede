"""The way back: when a rollout fails, the former version returns by a commit of its own."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import LifecycleError, RolloutReverted
from lifecycle.model import names
from lifecycle.model.names import COMMIT_KEY, PROMOTE, VERIFY_SERVING, WAIT_FOR_ROLLOUT
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, RolloutEvent
from lifecycle.operators.undo import UndoOperator
from lifecycle.policy.rollout import rollout_error
from lifecycle.settings import settings
from lifecycle.tasks import handoff, proof
from lifecycle.tasks.failures import reasons
from lifecycle.tasks.folder_proof import prove_folder
from lifecycle.triggers.application import watch

if TYPE_CHECKING:
    from airflow.sdk import Context


DOC = "Only after a failed rollout: commits the former version back, waits until it answers, and fails."


class RestoreOperator(UndoOperator):
    """Commits the former version back, waits until it answers, and then fails with both facts.

    It skips if `promote` changed nothing. It never succeeds: a run whose rollout failed has failed, also when what was
    live before is live again.

    The parameters are those of `UndoOperator`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"doc_md": DOC, **kwargs})

    def execute(self, context: Context) -> None:
        """Commit, and hand the waiting over to the triggerer."""
        promoted = self._promoted(context)
        if promoted is None:
            raise AirflowSkipException("This run changed nothing on the branch, so there is nothing to take back.")
        commit, former = self._commit_back(context, promoted), Pin.from_xcom(promoted["former"])
        self.defer(
            trigger=watch(self.target, [commit], [], time.time() + settings().rollout_timeout, former.label),
            method_name="resume",
            timeout=timedelta(seconds=settings().rollout_timeout + 120),
        )

    def _commit_back(self, context: Context, promoted: DeliveredCommit) -> str:
        run = context["dag_run"]
        delivery = handoff.restore(
            self.target,
            self.registered_model,
            promoted,
            dag_run=f"{run.dag_id}/{run.run_id}",
            delivery=self.delivery,
        )
        failed = self._what_failed(context, promoted)
        if delivery.outcome == "requested":
            raise RolloutReverted(
                f"{failed} The merge request {delivery.request_url} puts the former {_words(promoted)} back: merge it "
                "now."
            )
        if delivery.outcome not in handoff.CONTINUES or not delivery.commit:
            raise RolloutReverted(f"{failed} The former version was not put back: {delivery.detail}")
        return delivery.commit

    def resume(self, context: Context, event: RolloutEvent) -> NoReturn:
        """See whether the former version answers, and fail."""
        promoted = self._promoted(context)
        if promoted is None:
            raise RolloutReverted(
                f"Commit {event['accepted'][0]} put the former version back, and the result of `promote` is gone: the "
                f"run was cleared meanwhile. Look at the Application {self.target.application}."
            )
        failed, (commit, *_) = self._what_failed(context, promoted), event["accepted"]
        former = Pin.from_xcom(promoted["former"])
        try:
            if event["state"] not in ("ready", "other"):
                raise rollout_error(self.target, commit, event)
            back = self._prove(former, _words(promoted))
        except LifecycleError as error:
            raise RolloutReverted(
                f"{failed} Commit {commit} pins the former {_words(promoted)} again, and it is not known to answer: "
                f"{error} Look at the Application {self.target.application}."
            ) from error
        raise RolloutReverted(f"{failed} {back} (commit {commit}, which reverts {promoted['commit']}).")

    def _prove(self, former: Pin, words: str) -> str:
        if former.label is None:
            proof.prove_absent(self.target)
            return "Nothing was live before, and no server is left"
        if former.version is None:
            prove_folder(self.target, former)
            return f"The former {words} is back and answers"
        proof.prove_identity(self.target, former)
        return f"The former {self.registered_model} {words} is back and answers"

    def _beside(self, name: str) -> str:
        """The id of a task of the same stage: those of a stage after the first are in a group."""
        return names.beside(self.task_id, name)

    def _promoted(self, context: Context) -> DeliveredCommit | None:
        """What `promote` returned, with the commit on the branch; None if this run brought none there."""
        ti = context["ti"]
        promoted = cast(DeliveredCommit | None, ti.xcom_pull(task_ids=self._beside(PROMOTE)))
        if not promoted or not promoted["ours"]:
            return None
        if promoted["outcome"] != "requested":
            return promoted
        merged: str | None = ti.xcom_pull(task_ids=self._beside(WAIT_FOR_ROLLOUT), key=COMMIT_KEY)
        return {**promoted, "commit": merged} if merged else None

    def _what_failed(self, context: Context, promoted: DeliveredCommit) -> str:
        said = reasons(context["ti"], [self._beside(WAIT_FOR_ROLLOUT), self._beside(VERIFY_SERVING)])
        why = said[-1] if said else "see the log of the task that failed."
        pin, former = Pin.from_xcom(promoted["pin"]), Pin.from_xcom(promoted["former"])
        return (
            f"{_first_upper(pin.told_from(former))} of {self.registered_model or self.target.model} (commit "
            f"{promoted['commit']}) did not go live: {why}"
        )


def _first_upper(words: str) -> str:
    """As a sentence begins, with an address as it is."""
    return words if "://" in words else words[0].upper() + words[1:]


def _words(promoted: DeliveredCommit) -> str:
    """What was live before; its code is told where that is all that changed."""
    pin, former = Pin.from_xcom(promoted["pin"]), Pin.from_xcom(promoted["former"])
    if former.label is None:
        return "state without a server"
    return former.told_from(pin)
