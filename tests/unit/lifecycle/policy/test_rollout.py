"""The paragraph that a person reads when a rollout did not end well."""

from __future__ import annotations

from lifecycle.errors import RolloutFailed, RolloutTimeout
from lifecycle.model.results import End, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.policy.rollout import rollout_error

TARGET = Target("staging", "detector", "digits")


def event(state: End, troubles: str = "") -> RolloutEvent:
    return {
        "state": state,
        "message": "no progress",
        "revision": "",
        "troubles": troubles,
        "retryable": False,
        "accepted": ["c1"],
        "older": [],
        "deadline": 0.0,
    }


def test_failure_says_what_where_and_why_the_pods_do_not_start() -> None:
    error = rollout_error(TARGET, "c1", event("failed", "pod p waits (ImagePullBackOff)"))
    assert type(error) is RolloutFailed
    assert str(error) == (
        "Argo CD reports a failure of the Application staging-detector at commit c1: no progress. "
        "The serving pods say: pod p waits (ImagePullBackOff)."
    )


def test_failure_of_a_candidate_is_not_the_applications() -> None:
    error = rollout_error(TARGET.as_candidate, "c1", event("failed"))
    assert str(error) == "The candidate that the Application staging-detector at commit c1 adds failed: no progress."


def test_timeout_says_what_was_waited_for() -> None:
    error = rollout_error(TARGET, "c1", event("timeout"))
    assert type(error) is RolloutTimeout
    assert str(error).endswith("staging-detector at commit c1. The last state was: no progress.")


def test_a_version_that_crashes_is_told_from_argo_cds_failure() -> None:
    error = rollout_error(TARGET, "c1", event("crashing", "pod p ended with exit code 1: no artifact"))
    assert type(error) is RolloutFailed
    assert str(error).startswith("The version that the Application staging-detector at commit c1 pins does not start: ")
