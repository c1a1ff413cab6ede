"""One pin in all of its forms, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.gitops.file.edit import edit_model
from lifecycle.gitops.file.entry import read_model
from lifecycle.model.pin import Pin
from lifecycle.model.results import RegisteredVersion

PINS = st.builds(
    Pin,
    st.integers(1, 10**9),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.one_of(st.just(""), st.text("0123456789abcdef", min_size=40, max_size=40)),
)
NOTHING = Pin(None, "", "")
FILE = b"""models:
  - name: digits
    registeredModel: digits-detector
    version: null
    sha256: ""
    runId: ""
    codeCommit: ""
    hold: false
"""
# From before pins named the commit of the code.
OLDER = FILE.replace(b'    codeCommit: ""\n', b"")


@given(PINS)
def test_what_goes_through_mlflow_xcom_and_git_comes_back_the_same(pin: Pin) -> None:
    assert Pin.from_tags(pin.number, pin.tags()) == pin
    for value in (pin.xcom(), pin.version_xcom()):
        assert Pin.from_xcom(json.loads(json.dumps(value))) == pin
    for file in (FILE, OLDER):
        edited = edit_model(file, "digits", pin, path="values.yaml").content
        assert read_model(edited, "digits", path="values.yaml").pin == pin


def test_nothing_served_is_a_pin_too() -> None:
    assert Pin.from_xcom(NOTHING.xcom()) == read_model(FILE, "digits", path="values.yaml").pin == NOTHING
    assert NOTHING.words == "no version"
    with pytest.raises(ValueError, match="names no version"):
        NOTHING.version_xcom()


def test_more_keys_of_a_result_do_not_matter() -> None:
    pin = Pin(3, "a" * 64, "r1")
    registered: RegisteredVersion = {**pin.version_xcom(), "dataset_digest": "d"}
    assert Pin.from_xcom(registered) == pin


def test_version_without_a_run_is_no_pin() -> None:
    with pytest.raises(KeyError, match="run_id"):
        Pin.from_tags(1, {"sha256": "a" * 64})
