"""The words for a rollout that failed or did not end."""

from __future__ import annotations

from lifecycle.errors import RolloutFailed, RolloutTimeout
from lifecycle.model.results import RolloutEvent
from lifecycle.model.target import Target


def rollout_error(target: Target, commit: str, event: RolloutEvent) -> RolloutFailed | RolloutTimeout:
    """The error for it, in one paragraph: what was waited for, Argo CD's words, and those of the serving pods."""
    pods = f" The serving pods say: {event['troubles']}." if event["troubles"] else ""
    where = f"the Application {target.application} at commit {commit}"
    if event["state"] == "timeout":
        return RolloutTimeout(f"Gave up waiting for {where}. The last state was: {event['message']}.{pods}")
    if event["state"] == "crashing":
        return RolloutFailed(f"The version that {where} pins does not start: {event['message']}.{pods}")
    if target.candidate:
        return RolloutFailed(f"The candidate that {where} adds failed: {event['message']}.{pods}")
    return RolloutFailed(f"Argo CD reports a failure of {where}: {event['message']}.{pods}")
