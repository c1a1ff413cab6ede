"""The way back: when a rollout fails, the former version returns by a commit of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import RolloutReverted
from lifecycle.model import names
from lifecycle.model.names import COMMIT_KEY, PROMOTE, VERIFY_SERVING, WAIT_FOR_ROLLOUT
from lifecycle.model.results import DeliveredCommit, RolloutEvent
from lifecycle.operators.undo import UndoOperator
from lifecycle.settings import settings
from lifecycle.steps.restoring import Restore, on_the_branch
from lifecycle.tasks.failures import reasons
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
        restore = self._restore(context)
        if restore is None:
            raise AirflowSkipException("This run changed nothing on the branch, so there is nothing to take back.")
        watched = restore.watch(restore.commit_back())
        self.defer(
            trigger=watch(self.target, watched.accepted, [], watched.deadline, watched.version),
            method_name="resume",
            timeout=timedelta(seconds=settings().rollout_timeout + 120),
        )

    def resume(self, context: Context, event: RolloutEvent) -> NoReturn:
        """See whether the former version answers, and fail."""
        restore = self._restore(context)
        if restore is None:
            raise RolloutReverted(
                f"Commit {event['accepted'][0]} put the former version back, and the result of `promote` is gone: the "
                f"run was cleared meanwhile. Look at the Application {self.target.application}."
            )
        restore.tell(event)

    def _beside(self, name: str) -> str:
        """The id of a task of the same stage: those of a stage after the first are in a group."""
        return names.beside(self.task_id, name)

    def _restore(self, context: Context) -> Restore | None:
        """What there is to take back; None if this run brought nothing to the branch."""
        ti, run = context["ti"], context["dag_run"]
        returned = cast(DeliveredCommit | None, ti.xcom_pull(task_ids=self._beside(PROMOTE)))
        merged: str | None = ti.xcom_pull(task_ids=self._beside(WAIT_FOR_ROLLOUT), key=COMMIT_KEY)
        promoted = on_the_branch(returned, merged)
        if promoted is None:
            return None
        said = reasons(ti, [self._beside(WAIT_FOR_ROLLOUT), self._beside(VERIFY_SERVING)])
        return Restore(
            self.target,
            self.registered_model,
            promoted,
            dag_run=f"{run.dag_id}/{run.run_id}",
            why=said[-1] if said else "",
            delivery=self.delivery,
        )
