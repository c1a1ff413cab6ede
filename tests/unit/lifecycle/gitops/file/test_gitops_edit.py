"""What the edit does to single files: the forms that it must write, and those that it must refuse, saying where."""

import re

import pytest
import yaml
from lifecycle.gitops import FileRefused, ModelMismatch
from lifecycle.gitops.file.edit import edit_model
from lifecycle.gitops.file.entry import read_model
from lifecycle.model.pin import Pin

PATH = "argocd-apps/sandbox/detector/values.yaml"
PIN = Pin(7, "0" * 63 + "7", "7" * 32)
WITH_CODE = Pin(7, PIN.sha256, PIN.run_id, "c0de" * 10)
ENTRY = """\
models:
  - name: digits                        # Triton's model name
    registeredModel: digits-detector    # MLflow's registered model
    version: null                       # integer
    sha256: ""                          # of the ONNX file
    runId: ""                           # MLflow run
    hold: false                         # true: only a person bumps it
"""


def edited(text: str, model: str = "digits", pin: Pin = PIN, hold: bool | None = None) -> str:
    return edit_model(text.encode(), model, pin, path=PATH, hold=hold).content.decode()


def changed_lines(before: str, after: str) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    assert len(old) == len(new)
    return [b for a, b in zip(old, new, strict=True) if a != b]


def test_the_contracts_own_file_changes_in_three_scalars() -> None:
    assert changed_lines(ENTRY, edited(ENTRY)) == [
        "    version: 7                       # integer",
        f'    sha256: "{PIN.sha256}"                          # of the ONNX file',
        f'    runId: "{PIN.run_id}"                           # MLflow run',
    ]


def test_the_first_release_with_a_code_commit_adds_its_line_after_the_pin() -> None:
    last = f'    runId: "{PIN.run_id}"                           # MLflow run\n'
    line = f'    codeCommit: "{WITH_CODE.code_commit}"\n'
    added = edited(ENTRY, pin=WITH_CODE)
    assert added == edited(ENTRY).replace(last, last + line)
    assert edited(added, pin=WITH_CODE) == added
    # From then on it is a scalar like the others, also where nothing is served again.
    assert edited(added, pin=Pin(None, "", "")) == ENTRY.replace("    hold", '    codeCommit: ""\n    hold')
    flow = "models: [{name: digits, registeredModel: d, version: 3, sha256: '', runId: ''}]\n"
    assert yaml.safe_load(edited(flow, pin=WITH_CODE))["models"][0]["codeCommit"] == WITH_CODE.code_commit


def test_going_live_moves_the_code_commit_and_takes_the_candidate_away_at_once() -> None:
    live = read_model(ENTRY.encode(), "digits", path=PATH).pin
    tried = edit_model(ENTRY.encode(), "digits", live, path=PATH, candidate=WITH_CODE).content
    assert read_model(tried, "digits", path=PATH).candidate == WITH_CODE
    moved = edit_model(tried, "digits", WITH_CODE, path=PATH, candidate=None).content
    assert moved.decode() == edited(ENTRY, pin=WITH_CODE)


def test_going_back_to_nothing_gives_the_first_file_again() -> None:
    assert edited(edited(ENTRY), pin=Pin(None, "", "")) == ENTRY


def test_hold_is_set_only_when_asked_for() -> None:
    assert "hold: true                         # true" in edited(ENTRY, hold=True)
    assert "hold: false " in edited(ENTRY)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("version: null", "version: 7"),
        ("version: ~", "version: 7"),
        ("version:", "version: 7"),
        ("version:   # none yet", "version: 7   # none yet"),
        ("version: 3", "version: 7"),
        ("version:    3   ", "version:    7   "),
        ('"version": 3', '"version": 7'),
        ("version : 3", "version : 7"),
        ("version:\n      3", "version:\n      7"),
        ("? version\n    : 3", "? version\n    : 7"),
        # The contract wants an integer: quotes would keep it a string.
        ('version: "3"', "version: 7"),
        ("version: '3'", "version: 7"),
        ("version: &unused 3", "version: &unused 7"),
    ],
)
def test_every_way_to_write_a_version(written: str, expected: str) -> None:
    text = ENTRY.replace("version: null", written)
    assert expected in edited(text)
    assert yaml.safe_load(edited(text))["models"][0]["version"] == 7


@pytest.mark.parametrize(
    ("style", "value", "expected"),
    [
        ('""', "a" * 32, '"' + "a" * 32 + '"'),
        ("''", "it's", "'it''s'"),
        ('""', 'a"b\\c', '"a\\"b\\\\c"'),
        ("old", "newer", "newer"),
        ("old", "12345678", '"12345678"'),
        ("old", "1e5", '"1e5"'),
        ("old", "0x1f", '"0x1f"'),
        ("old", "null", '"null"'),
        ("old", "Yes", '"Yes"'),
        ("old", "n", '"n"'),
        ("old", "a: b", '"a: b"'),
        ("old", "a #b", '"a #b"'),
        ("old", "2026-11-20", '"2026-11-20"'),
        ("", "plain", "plain"),
    ],
)
def test_a_string_stays_a_string_in_the_quotes_that_it_had(style: str, value: str, expected: str) -> None:
    text = ENTRY.replace('runId: "" ', f"runId: {style} ")
    result = edited(text, pin=Pin(7, PIN.sha256, value))
    assert f"runId: {expected} " in result
    assert yaml.safe_load(result)["models"][0]["runId"] == value


def test_line_endings_byte_order_mark_and_document_markers_stay() -> None:
    text = "\ufeff%YAML 1.2\n---\n" + ENTRY + "...\n"
    crlf = text.replace("\n", "\r\n").encode()
    result = edit_model(crlf, "digits", PIN, path=PATH).content
    assert result.count(b"\r\n") == result.count(b"\n") == crlf.count(b"\n")
    assert result.startswith("\ufeff%YAML 1.2\r\n---\r\n".encode()) and result.endswith(b"...\r\n")
    assert len(changed_lines(crlf.decode(), result.decode())) == 3


def test_a_flow_entry_between_others_is_edited_in_place() -> None:
    text = (
        "models: [{name: a, registeredModel: A, version: 1, sha256: '', runId: x, hold: no},"
        " {name: b, registeredModel: B, version: , sha256: '', runId: x}] # two\n"
    )
    result = edited(text, "b")
    assert result == text.replace(
        "version: , sha256: '', runId: x}", f"version: 7 , sha256: '{PIN.sha256}', runId: \"{PIN.run_id}\"}}"
    )


def test_comments_and_values_that_look_like_the_entry_are_left_alone() -> None:
    text = "# version: 1\nnote: |\n  - name: digits\n    version: 1\n" + ENTRY + "other:\n  version: null\n"
    assert len(changed_lines(text, edited(text))) == 3


def test_a_merge_key_whose_values_are_not_ours_is_fine() -> None:
    text = "defaults: &d\n  replicas: 2\n" + ENTRY.replace("  - name", "  - <<: *d\n    name")
    assert len(changed_lines(text, edited(text))) == 3


def test_the_registered_model_must_be_the_same() -> None:
    with pytest.raises(ModelMismatch, match=rf"^{re.escape(PATH)}:3: .* digits-detector, not other") as refused:
        edit_model(ENTRY.encode(), "digits", PIN, path=PATH, registered_model="other")
    assert refused.value.line == 3 and not refused.value.retryable


ANCHORED = "base: &v 3\n" + ENTRY
REFUSED = {
    "absent": (ENTRY, "letters", 1, "no model letters .it has: digits"),
    "twice": (ENTRY + ENTRY.removeprefix("models:\n"), "digits", 8, "twice"),
    "no list": ("a: 1\n", "digits", 1, "no list `models`"),
    "list twice": (ENTRY + "models: []\n", "digits", 8, "the key models is there twice|not valid YAML"),
    "not a list": ("models: {}\n", "digits", 1, "not a list"),
    "not a mapping": ("- a\n", "digits", 1, "not a mapping"),
    "empty": ("", "digits", 1, "empty"),
    "only a comment": ("# nothing\n", "digits", 1, "empty"),
    "key missing": (ENTRY.replace("    version: null", "    # version"), "digits", 2, "no key version"),
    "key twice": (ENTRY + "    version: 1\n", "digits", 8, "version twice|not valid YAML"),
    "key by merge": ("d: &d {version: 1}\n" + ENTRY.replace("version: null", "<<: *d "), "digits", 5, "merge key"),
    "code by merge": ("d: &d {codeCommit: x}\n" + ENTRY.replace("- n", "- <<: *d\n    n"), "digits", 3, "merge key"),
    "value is an alias": (ANCHORED.replace("version: null", "version: *v"), "digits", 5, "alias"),
    "value is shared": (ENTRY.replace("null", "&v 3") + "copy: *v\n", "digits", 4, "anchor &v"),
    "entry is an alias": ("x: &e {name: digits}\nmodels: [*e]\n", "digits", 2, "no key registeredModel|shared"),
    "entry is shared": (ENTRY.replace("- name", "- &e\n    name") + "copy: *e\n", "digits", 2, "shared"),
    "list is shared": (ENTRY.replace("models:", "models: &m") + "copy: *m\n", "digits", 1, "shared"),
    "tagged": (ENTRY.replace("null", "!!int 3"), "digits", 4, "tag"),
    "block scalar": (ENTRY.replace('""   ', "|-\n      abc\n", 1), "digits", 5, "block scalar"),
    "not a number": (ENTRY.replace("null", "latest"), "digits", 4, "'latest', not a whole number"),
    "a mapping as value": (ENTRY.replace('sha256: "" ', "sha256: {} "), "digits", 5, "not a single value"),
    "unclear hold": (ENTRY.replace("hold: false", "hold: maybe"), "digits", 7, "'maybe', not true or false"),
    "broken": (ENTRY + "broken: [\n", "digits", 9, "not valid YAML"),
    "tab": (ENTRY + "\tx: [\n", "digits", 8, "not valid YAML"),
    "control character": (ENTRY + "x: \x01\n", "digits", 8, "not valid YAML"),
    "unknown alias": (ENTRY + "x: *nowhere\n", "digits", 8, "nowhere"),
    "second document": (ENTRY + "---\nx: 1\n", "digits", 9, "second document"),
}


@pytest.mark.parametrize(("text", "model", "line", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_edited_safely_is_refused_with_path_and_line(
    text: str, model: str, line: int, problem: str
) -> None:
    with pytest.raises(FileRefused, match=problem) as refused:
        edited(text, model)
    assert (refused.value.path, refused.value.line) == (PATH, line)
    assert str(refused.value).startswith(f"{PATH}:{line}: ")


def test_other_encodings_are_refused_at_the_first_wrong_byte() -> None:
    content = ENTRY.encode() + "# für Käufer\n".encode("latin-1")
    with pytest.raises(FileRefused, match="not UTF-8") as refused:
        edit_model(content, "digits", PIN, path=PATH)
    assert refused.value.line == 8


def test_hold_that_is_not_there_cannot_be_set_but_reads_as_false() -> None:
    text = "\n".join(line for line in ENTRY.splitlines() if "hold" not in line)
    assert read_model(text.encode(), "digits", path=PATH).hold is False
    with pytest.raises(FileRefused, match="no key hold"):
        edited(text, hold=True)


@pytest.mark.parametrize("word", ["true", "True", "yes", "on", '"true"'])
def test_whatever_helm_takes_for_true_holds(word: str) -> None:
    text = ENTRY.replace("hold: false", f"hold: {word}")
    assert read_model(text.encode(), "digits", path=PATH).hold is True
