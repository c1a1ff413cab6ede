"""The candidate in a values file: one line beside the pin, which comes and goes without another byte."""

import pytest
import yaml
from lifecycle.gitops import FileRefused
from lifecycle.gitops.file.edit import edit_model
from lifecycle.gitops.file.entry import read_model, read_models
from lifecycle.model.pin import Pin

PATH = "argocd-apps/sandbox/detector/values.yaml"
LIVE, CANDIDATE = Pin(3, "a" * 64, "run3"), Pin(4, "b" * 64, "run4")
LINE = f'candidate: {{version: 4, sha256: "{"b" * 64}", runId: "run4"}}'
FILE = f"""\
models:
  - name: digits  # Triton's name
    registeredModel: digits-detector
    version: 3
    sha256: "{"a" * 64}"
    runId: run3  # MLflow
    hold: false
  - name: plates
    registeredModel: plates-detector
    version: null
    sha256: ""
    runId: ""
"""


def tried(text: str, model: str = "digits", candidate: Pin | None = CANDIDATE) -> str:
    """The text with that candidate, and the live pin as it is."""
    live = read_model(text.encode(), model, path=PATH).pin
    return edit_model(text.encode(), model, live, path=PATH, candidate=candidate).content.decode()


def test_a_candidate_is_one_line_after_the_pin() -> None:
    assert tried(FILE) == FILE.replace("# MLflow\n", f"# MLflow\n    {LINE}\n")
    assert yaml.safe_load(tried(FILE))["models"][0]["candidate"] == {
        "version": 4,
        "sha256": "b" * 64,
        "runId": "run4",
    }


def test_a_model_without_a_version_can_have_one_at_the_end_of_a_file_without_a_last_newline() -> None:
    for text in (FILE, FILE.removesuffix("\n"), FILE.replace("\n", "\r\n"), FILE.replace("\n", "\r\n")[:-2]):
        once = tried(text, "plates")
        assert once.startswith(text.rstrip()) and LINE in once
        assert read_model(once.encode(), "plates", path=PATH).candidate == CANDIDATE
        assert tried(once, "plates", None) == text


def test_going_live_moves_the_pin_and_takes_the_candidate_away_in_one_edit() -> None:
    live = edit_model(tried(FILE).encode(), "digits", CANDIDATE, path=PATH, candidate=None).content
    assert live == edit_model(FILE.encode(), "digits", CANDIDATE, path=PATH).content


def test_another_candidate_takes_the_place_of_one_in_whatever_form_it_stands() -> None:
    block = f"""    candidate:  # by hand
      version: 2
      sha256: "{"c" * 64}"
      runId: run2
"""
    by_hand = FILE.replace("    hold", block + "    hold")
    assert read_model(by_hand.encode(), "digits", path=PATH).candidate == Pin(2, "c" * 64, "run2")
    assert tried(by_hand) == FILE.replace("    hold", f"    {LINE}\n    hold")
    assert tried(by_hand, candidate=None) == FILE
    assert tried(tried(FILE), candidate=Pin(5, "d" * 64, "run5")).count("candidate:") == 1


@pytest.mark.parametrize("nothing", ["candidate:", "candidate: null", "candidate: ~  # none"])
def test_an_empty_candidate_is_none_and_is_written_over(nothing: str) -> None:
    text = FILE.replace("    hold", f"    {nothing}\n    hold")
    assert read_model(text.encode(), "digits", path=PATH).candidate is None
    assert read_model(tried(text).encode(), "digits", path=PATH).candidate == CANDIDATE
    assert [model.name for model in read_models(text.encode(), path=PATH)] == ["digits", "plates"]


def test_an_entry_on_one_line_has_its_candidate_before_the_pin() -> None:
    text = "models: [{name: digits, registeredModel: d, version: 3, sha256: '', runId: '', hold: no}] # one\n"
    assert tried(text) == text.replace("version: 3", f"{LINE}, version: 3")
    assert tried(tried(text), candidate=None) == text
    last = text.replace("hold: no", f"hold: no, {LINE}")
    assert tried(last, candidate=None) == text


ENTRY_AT = FILE.splitlines().index("    hold: false") + 1
REFUSED = {
    "a number": ("candidate: 4", "is not a mapping with version, sha256, runId"),
    "a key is missing": ("candidate: {version: 4}", "is not a mapping with version, sha256, runId"),
    "a version that is none": ("candidate: {version: new, sha256: x, runId: y}", "'new', not a whole number"),
}


@pytest.mark.parametrize(("written", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_candidate_that_says_something_unclear_is_refused_with_its_line(written: str, problem: str) -> None:
    text = FILE.replace("    hold", f"    {written}\n    hold")
    with pytest.raises(FileRefused, match=problem) as refused:
        read_model(text.encode(), "digits", path=PATH)
    assert refused.value.line == ENTRY_AT


def test_a_candidate_that_an_alias_shares_is_left_to_people() -> None:
    anchored = LINE.replace("candidate: ", "candidate: &c ")
    text = FILE.replace("    hold", f"    {anchored}\n    hold") + "copy: *c\n"
    with pytest.raises(FileRefused, match="shared by an alias; remove it by hand"):
        tried(text, candidate=None)


def test_a_candidate_that_begins_its_entry_is_refused_and_nothing_is_damaged() -> None:
    text = FILE.replace("  - name: digits", f"  - {LINE}\n    name: digits")
    with pytest.raises(FileRefused, match="cannot be edited safely"):
        tried(text, candidate=None)
