"""From a registered version to the one commit that makes it live, and the commit that takes it back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lifecycle.hooks.gitops import repository
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, RegisteredVersion
from lifecycle.model.target import Target

if TYPE_CHECKING:
    from lifecycle.gitops import Bump, Delivery

log = logging.getLogger(__name__)

# Outcomes after which the run continues: the pin is on the branch, or a merge request will bring it there.
CONTINUES = ("pushed", "already_there", "requested")


def promote(
    target: Target,
    registered_model: str,
    registered: RegisteredVersion,
    *,
    dag_run: str,
    classes: str = "",
    delivery: str = "",
    candidate: DeliveredCommit | None = None,
) -> DeliveredCommit:
    """Write the registered version into git.

    Args:
        target: the served model.
        registered_model: MLflow's registered model.
        registered: what `register` returned.
        dag_run: `<dag id>/<run id>`; with it a retry finds its own commit.
        classes: which came and went against the live version, for the commit; empty: none.
        delivery: how the stage has its commits delivered; empty: as the setting says.
        candidate: what `try_candidate` returned, whose code goes live with it; None: the newest of the branch does.
    """
    trailers = _release_trailers(registered, dag_run, classes)
    pin = Pin.from_xcom(candidate["pin"] if candidate else registered)
    wanted = bump(target, registered_model, pin, kind="promote", trailers=trailers, **code_of(candidate))
    return described(deliver(wanted, delivery))


def code_of(candidate: DeliveredCommit | None) -> dict[str, Any]:
    """What a bump that makes a version live says of its code."""
    return {"code_beside": candidate["former"]["code_commit"]} if candidate else {"newest_code": True}


def try_candidate(
    target: Target,
    registered_model: str,
    registered: RegisteredVersion,
    *,
    dag_run: str,
    classes: str = "",
    delivery: str = "",
    newest_code: bool = True,
) -> DeliveredCommit:
    """Write the registered version beside the live one, as its candidate.

    The arguments are those of `promote`; `newest_code`: with the branch's newest, or with the code of `registered`.
    """
    trailers = _release_trailers(registered, dag_run, classes)
    pin = Pin.from_xcom(registered)
    wanted = bump(target, registered_model, pin, kind="candidate", trailers=trailers, newest_code=newest_code)
    return described(deliver(wanted, delivery))


def _release_trailers(registered: RegisteredVersion, dag_run: str, classes: str) -> dict[str, str]:
    return {
        names.DATASET_DIGEST_TRAILER: registered["dataset_digest"],
        names.DAG_RUN_TRAILER: dag_run,
        names.CLASS_CHANGE_TRAILER: classes,
    }


def discard(target: Target, registered_model: str, pin: Pin, *, dag_run: str, delivery: str = "") -> Delivery:
    """Take the candidate with that pin away from beside the live one; nothing happens where it is not there."""
    wanted = bump(target, registered_model, pin, kind="discard", trailers={names.DAG_RUN_TRAILER: dag_run})
    return deliver(wanted, delivery)


def restore(
    target: Target, registered_model: str, promoted: DeliveredCommit, *, dag_run: str, delivery: str = ""
) -> Delivery:
    """Write the version that was live before `promoted` (what `promote` returned) back into git."""
    former = Pin.from_xcom(promoted["former"])
    trailers = {names.DAG_RUN_TRAILER: dag_run}
    wanted = bump(target, registered_model, former, kind="restore", trailers=trailers, reverts=promoted["commit"])
    return deliver(wanted, delivery)


def deliver(wanted: Bump, delivery: str = "") -> Delivery:
    """Deliver a bump as the stage (`delivery`) or the setting says, and log what became of it."""
    made = repository(delivery).deliver(wanted)
    log.info("%s: %s", made.outcome, made.detail)
    if made.diff:
        log.info("Commit %s\n%s", made.commit, made.diff)
    return made


def described(delivery: Delivery) -> DeliveredCommit:
    """A delivery as XCom. A commit that an earlier try of the same run made is told by its diff."""
    ours = delivery.outcome in ("pushed", "requested") or (delivery.outcome == "already_there" and bool(delivery.diff))
    return {
        "outcome": delivery.outcome,
        "commit": delivery.commit,
        "former": delivery.former.xcom(),
        "diff": delivery.diff,
        "detail": delivery.detail,
        "request_url": delivery.request_url,
        "pin": delivery.pin.xcom(),
        "code_commit": delivery.pin.code_commit,
        "ours": ours,
    }


def bump(target: Target, registered_model: str, pin: Pin, **kwargs: Any) -> Bump:
    """A bump of the target's entry; `kwargs` are the other fields of `lifecycle.gitops.Bump`."""
    from lifecycle.gitops import Bump

    return Bump(
        environment=target.environment,
        app=target.app,
        model=target.model,
        registered_model=registered_model,
        pin=pin,
        **kwargs,
    )
