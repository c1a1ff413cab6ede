"""Which failures are worth another try."""

from __future__ import annotations

import pytest
from lifecycle.errors import BadParameter, RegistryUnavailable
from lifecycle.policy.retries import why_no_retry


def test_outage_is_tried_again_and_bad_input_is_not() -> None:
    assert why_no_retry(RegistryUnavailable("unreachable"), None) is None
    assert why_no_retry(BadParameter("wrong"), None) == "a retry cannot help: see the error"


def test_the_cause_behind_another_error_decides() -> None:
    try:
        try:
            raise BadParameter("wrong")
        except BadParameter as error:
            raise RuntimeError("around it") from error
    except RuntimeError as outer:
        assert why_no_retry(outer, None)


def test_a_cause_that_was_hidden_on_purpose_does_not_decide() -> None:
    try:
        try:
            raise BadParameter("wrong")
        except BadParameter:
            raise RuntimeError("instead of it") from None
    except RuntimeError as outer:
        assert why_no_retry(outer, None) is None


def test_a_missing_module_is_never_tried_again() -> None:
    missing = ModuleNotFoundError("No module named 'boto3'", name="boto3")
    assert "boto3 is missing" in str(why_no_retry(missing, None))
    try:
        raise RuntimeError("around it") from missing
    except RuntimeError as outer:
        assert why_no_retry(outer, None)


def test_an_outage_behind_an_import_that_a_library_does_without_is_tried_again() -> None:
    try:
        try:
            raise ModuleNotFoundError("No module named 'brotli'", name="brotli")
        except ModuleNotFoundError:
            raise RegistryUnavailable("unreachable")  # noqa: B904 — as libraries do
    except RegistryUnavailable as outer:
        assert why_no_retry(outer, None) is None


@pytest.mark.parametrize(("code", "again"), [(2, False), (1, True), (137, True), (None, True)])
def test_exit_code_of_the_pod_decides(code: int | None, again: bool) -> None:
    assert (why_no_retry(RuntimeError("pod failed"), code) is None) is again
