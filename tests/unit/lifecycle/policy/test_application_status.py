"""What an Application's status means for one wanted commit, with statuses as Argo CD writes them."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.application import State, judge

WANTED, FORMER, NEWER = "a" * 40, "b" * 40, "c" * 40
BEFORE, AFTER = "2026-11-20T10:00:00Z", "2026-11-20T10:00:05Z"


def application(revision: str = WANTED, **changes: Any) -> dict[str, Any]:
    """A synced and healthy Application; `changes` replace fields of its status."""
    status: dict[str, Any] = {
        "sync": {"status": "Synced", "revision": revision},
        "health": {"status": "Healthy"},
        "operationState": {
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "finishedAt": BEFORE,
            "operation": {"sync": {"revision": revision}},
            "syncResult": {"revision": revision, "resources": []},
        },
        "reconciledAt": AFTER,
    }
    return {"metadata": {"name": "sandbox-detector"}, "status": {**status, **changes}}


def failed_sync(revision: str, message: str = "one or more objects failed to apply") -> dict[str, Any]:
    return {
        "phase": "Failed",
        "message": message,
        "finishedAt": BEFORE,
        "syncResult": {
            "revision": revision,
            "resources": [
                {"kind": "Service", "name": "detector-digits", "status": "Synced", "message": "unchanged"},
                {"kind": "Deployment", "name": "detector-digits", "status": "SyncFailed", "message": "quota exceeded"},
            ],
        },
    }


def see(app: dict[str, Any], accepted: set[str] | None = None, older: set[str] | None = None) -> tuple[State, str]:
    verdict = judge(app, accepted or {WANTED}, older or set())
    return verdict.state, verdict.message


def test_synced_and_healthy_is_ready() -> None:
    assert judge(application(), {WANTED}, set()).state is State.READY
    assert judge(application(), {WANTED}, set()).revision == WANTED


def test_one_of_multiple_sources_is_enough() -> None:
    app = application(sync={"status": "Synced", "revisions": [FORMER, WANTED]})
    assert judge(app, {WANTED}, set()).state is State.READY


def test_descendant_known_to_hold_the_commit_is_as_good() -> None:
    assert see(application(NEWER), {WANTED, NEWER})[0] is State.READY


@pytest.mark.parametrize("app", [{}, {"status": {}}, {"status": {"sync": {"status": "Unknown"}}}])
def test_application_without_a_comparison_yet_is_waited_for(app: dict[str, Any]) -> None:
    assert see(app)[0] is State.WAITING


def test_unknown_revision_is_for_git_to_tell() -> None:
    verdict = judge(application(NEWER), {WANTED}, {FORMER})
    assert (verdict.state, verdict.revision) == (State.OTHER, NEWER)


def test_revision_from_before_is_waited_out() -> None:
    state, message = see(application(FORMER), older={FORMER})
    assert state is State.WAITING
    assert FORMER[:12] in message


def test_comparison_error_is_told_while_waiting() -> None:
    conditions = [{"type": "ComparisonError", "message": "failed to  generate\nmanifest: values don't meet the schema"}]
    state, message = see(application(FORMER, conditions=conditions), older={FORMER})
    assert state is State.WAITING
    assert "ComparisonError: failed to generate manifest" in message


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_failed_sync_of_the_commit_fails_with_its_message_and_the_object(phase: str) -> None:
    operation = {**failed_sync(WANTED), "phase": phase}
    state, message = see(application(sync={"status": "OutOfSync", "revision": WANTED}, operationState=operation))
    assert state is State.FAILED
    assert "one or more objects failed to apply" in message
    assert "Deployment detector-digits: quota exceeded" in message
    assert "Service" not in message


def test_failed_sync_of_another_commit_does_not_count() -> None:
    app = application(sync={"status": "OutOfSync", "revision": WANTED}, operationState=failed_sync(FORMER))
    assert see(app)[0] is State.WAITING


def test_failed_sync_counts_by_its_request_when_it_has_no_result() -> None:
    operation = {"phase": "Error", "message": "repo away", "operation": {"sync": {"revisions": [WANTED]}}}
    assert see(application(sync={"status": "OutOfSync", "revision": WANTED}, operationState=operation)) == (
        State.FAILED,
        "repo away",
    )


def test_running_sync_is_waited_for_with_its_retry() -> None:
    operation = {"phase": "Running", "message": "retrying attempt #2", "retryCount": 1}
    state, message = see(application(operationState=operation))
    assert state is State.WAITING
    assert "try 2" in message and "retrying attempt" in message


def test_a_step_of_a_rollout_is_waited_for_and_an_aborted_one_has_failed() -> None:
    """Argo CD's words for Argo Rollouts' pauses and aborts."""
    resources = [
        {"kind": "Rollout", "name": "detector-digits", "health": {"status": "Suspended", "message": "CanaryPauseStep"}}
    ]
    state, message = see(application(health={"status": "Suspended"}, resources=resources))
    assert state is State.WAITING
    assert message == "synced, health is Suspended: Rollout detector-digits is Suspended: CanaryPauseStep"
    aborted = {"status": "Degraded", "message": 'RolloutAborted: metric "failures" assessed Failed'}
    assert see(application(health=aborted)) == (State.FAILED, aborted["message"])


def test_degraded_fails_with_argo_cds_words() -> None:
    health = {"status": "Degraded", "message": 'Deployment "detector-digits" exceeded its progress deadline'}
    assert see(application(health=health)) == (State.FAILED, health["message"])


def test_degraded_without_a_message_names_the_resource() -> None:
    resources = [
        {"kind": "Service", "name": "detector-digits", "health": {"status": "Healthy"}},
        {"kind": "Deployment", "name": "detector-digits", "health": {"status": "Degraded", "message": "no progress"}},
    ]
    state, message = see(application(health={"status": "Degraded"}, resources=resources))
    assert (state, message) == (State.FAILED, "Deployment detector-digits is Degraded: no progress")


@pytest.mark.parametrize("condition", ["Healthy", "Degraded"])
def test_health_from_before_the_sync_does_not_count(condition: str) -> None:
    app = application(health={"status": condition}, reconciledAt=BEFORE)
    app["status"]["operationState"]["finishedAt"] = AFTER
    assert see(app)[0] is State.WAITING


@pytest.mark.parametrize("condition", ["Progressing", "Missing", "Suspended", "Unknown"])
def test_any_other_health_is_waited_for(condition: str) -> None:
    state, message = see(application(health={"status": condition}))
    assert state is State.WAITING
    assert condition in message
