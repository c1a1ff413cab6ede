"""What the Python tasks of `yolo_rollback` do: find the version to go back to, and put it into git."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lifecycle import connections, handoff
from lifecycle.errors import BadParameter
from lifecycle.registry import versions
from lifecycle.steps import Params, target_of

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel

log = logging.getLogger(__name__)


def choose(params: Params) -> dict[str, Any]:
    """Find the version that shall be live again.

    Returns:
        `registered_model`, `version`, `sha256`, `run_id`, and `live`: the pin that is in git now.

    Raises:
        BadParameter: there is no such version (the message lists those that there are), or no former one.
    """
    target = target_of(params)
    repository = connections.gitops()
    pinned, commit = repository.read(target.environment, target.app, target.model)
    number = params["version"] or _former(params, pinned)
    with connections.mlflow().session() as client:
        version = versions.existing(client, pinned.registered_model, number)
        sha256 = versions.sha256_of(version)
    log.info("At %s, %s is pinned; going back to version %d", commit, pinned.pin, number)
    return {
        "registered_model": pinned.registered_model,
        "version": number,
        "sha256": sha256,
        "run_id": version.tags.get("run_id") or version.run_id,
        "live": asdict(pinned.pin),
    }


def _former(params: Params, pinned: PinnedModel) -> int:
    """The version that was live before the one that is pinned now, out of git's history."""
    target = target_of(params)
    for revision in connections.gitops().history(target.environment, target.app, target.model):
        former = revision.model
        other_model = former.registered_model != pinned.registered_model
        if former.pin.version not in (None, pinned.pin.version) and not other_model:
            return int(former.pin.version or 0)
    raise BadParameter(
        f"The history of {target.environment}/{target.app} names no version of {target.model} before the present one "
        f"(version {pinned.pin.version} of {pinned.registered_model}). Name the version to go back to."
    )


def deliver(params: Params, chosen: dict[str, Any], *, dag_run: str) -> dict[str, Any]:
    """Write the chosen version into git, on a person's word.

    Returns:
        As `handoff.promote`.
    """
    from lifecycle.gitops import ModelPin

    pin = ModelPin(chosen["version"], chosen["sha256"], chosen["run_id"])
    reason = " ".join(params["reason"].split())
    bump = handoff.bump(
        target_of(params),
        chosen["registered_model"],
        pin,
        kind="rollback",
        trailers={"Dag-Run": dag_run, **({"Reason": reason} if reason else {})},
        hold=True if params["hold"] else None,
    )
    return handoff.described(handoff.deliver(bump), pin)
