"""The way back: when a rollout fails, the former version returns by a commit of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import NoReturn

from lifecycle.errors import LifecycleError, RolloutReverted
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.policy.rollout import rollout_error
from lifecycle.settings import settings
from lifecycle.steps import handoff, proof
from lifecycle.steps.watching import RolloutWatch

SEE_LOG = "see the log of the task that failed."


@dataclass(frozen=True)
class Restore:
    """A release that failed, and what there is to say of it.

    `promoted`: what `promote` returned, with the commit on the branch; `why` empty: look into the log.
    """

    target: Target
    registered_model: str
    promoted: DeliveredCommit
    dag_run: str
    why: str = ""
    delivery: str = ""

    @property
    def former(self) -> Pin:
        """What was live before."""
        return Pin.from_xcom(self.promoted["former"])

    def commit_back(self) -> str:
        """Commit the former version back; the commit, which has to be waited for.

        Raises:
            RolloutReverted: nothing came to the branch; a merge request that a person has to merge is told.
        """
        delivery = handoff.restore(
            self.target, self.registered_model, self.promoted, dag_run=self.dag_run, delivery=self.delivery
        )
        if delivery.outcome == "requested":
            raise RolloutReverted(
                f"{self.failed} The merge request {delivery.request_url} puts the former {self._words} back: merge it "
                "now."
            )
        if delivery.outcome not in handoff.CONTINUES or not delivery.commit:
            raise RolloutReverted(f"{self.failed} The former version was not put back: {delivery.detail}")
        return delivery.commit

    def watch(self, commit: str) -> RolloutWatch:
        """What shows that it is back."""
        return RolloutWatch.of(self.target, [commit], [], time.time() + settings().rollout_timeout, self.former.version)

    def tell(self, event: RolloutEvent) -> NoReturn:
        """See whether the former version answers, and fail with both facts."""
        commit = event["accepted"][0]
        try:
            if event["state"] not in ("ready", "other"):
                raise rollout_error(self.target, commit, event)
            back = self._prove()
        except LifecycleError as error:
            raise RolloutReverted(
                f"{self.failed} Commit {commit} pins the former {self._words} again, and it is not known to answer: "
                f"{error} Look at the Application {self.target.application}."
            ) from error
        raise RolloutReverted(f"{self.failed} {back} (commit {commit}, which reverts {self.promoted['commit']}).")

    def run(self) -> NoReturn:
        """All of it in this process, where no triggerer waits."""
        self.tell(asyncio.run(self.watch(self.commit_back()).end()))

    def _prove(self) -> str:
        if self.former.version is None:
            proof.prove_absent(self.target)
            return "Nothing was live before, and no server is left"
        proof.prove_identity(self.target, self.former)
        return f"The former {self.registered_model} {self._words} is back and answers"

    @property
    def failed(self) -> str:
        """What did not go live, and why."""
        pin = Pin.from_xcom(self.promoted["pin"])
        return (
            f"{pin.told_from(self.former).capitalize()} of {self.registered_model} (commit {self.promoted['commit']}) "
            f"did not go live: {self.why or SEE_LOG}"
        )

    @property
    def _words(self) -> str:
        """What was live before; its code is told where that is all that changed."""
        if self.former.version is None:
            return "state without a server"
        return self.former.told_from(Pin.from_xcom(self.promoted["pin"]))


def on_the_branch(promoted: DeliveredCommit | None, merged: str | None) -> DeliveredCommit | None:
    """What `promote` returned, with the commit on the branch; None if this run brought none there.

    `merged`: the commit that its merge request became, if it had one.
    """
    if not promoted or not promoted["ours"]:
        return None
    if promoted["outcome"] != "requested":
        return promoted
    return {**promoted, "commit": merged} if merged else None
