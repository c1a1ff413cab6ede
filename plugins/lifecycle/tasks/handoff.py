"""From a registered version to the one commit that makes it live, and the commit that takes it back."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lifecycle import connections
from lifecycle.cluster.names import Target

if TYPE_CHECKING:
    from lifecycle.gitops import Bump, Delivery, ModelPin

log = logging.getLogger(__name__)

WENT_ON = ("pushed", "already_there", "requested")


def promote(target: Target, registered_model: str, registered: dict[str, Any], *, dag_run: str) -> dict[str, Any]:
    """Write the registered version into git.

    Args:
        target: the served model.
        registered_model: MLflow's registered model.
        registered: what `steps.register` returned.
        dag_run: `<dag id>/<run id>`; with it a retry finds its own commit.

    Returns:
        `outcome`, `commit`, `former` (the pin before), `diff`, `detail`, `request_url`, `pin` (what was asked for), and
        `ours`: whether this DAG run made the commit.
    """
    from lifecycle.gitops import ModelPin

    pin = ModelPin(registered["version"], registered["sha256"], registered["run_id"])
    trailers = {"Dataset-Digest": registered["dataset_digest"], "Dag-Run": dag_run}
    return described(deliver(bump(target, registered_model, pin, kind="promote", trailers=trailers)), pin)


def restore(target: Target, registered_model: str, promoted: dict[str, Any], *, dag_run: str) -> Delivery:
    """Write the version that was live before `promoted` (what `promote` returned) back into git."""
    from lifecycle.gitops import ModelPin

    former = ModelPin(**promoted["former"])
    return deliver(
        bump(
            target,
            registered_model,
            former,
            kind="restore",
            trailers={"Dag-Run": dag_run},
            reverts=promoted["commit"],
        )
    )


def deliver(wanted: Bump) -> Delivery:
    """Deliver a bump and log what became of it."""
    delivery = connections.gitops().deliver(wanted)
    log.info("%s: %s", delivery.outcome, delivery.detail)
    if delivery.diff:
        log.info("Commit %s\n%s", delivery.commit, delivery.diff)
    return delivery


def described(delivery: Delivery, pin: ModelPin) -> dict[str, Any]:
    """A delivery as XCom. A commit that an earlier try of the same run made is told by its diff."""
    ours = delivery.outcome in ("pushed", "requested") or (delivery.outcome == "already_there" and bool(delivery.diff))
    return {**asdict(delivery), "pin": asdict(pin), "ours": ours}


def bump(target: Target, registered_model: str, pin: ModelPin, **kwargs: Any) -> Bump:
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
