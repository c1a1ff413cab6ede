"""Odd but legal files, generated: the edit changes only the lines of the wanted scalars, and says what is meant.

Every file is rendered together with the knowledge of which lines hold the scalars, and read back by two YAML libraries.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle.gitops import FileRefused
from lifecycle.gitops.file.edit import edit_model
from lifecycle.gitops.file.entry import read_model
from lifecycle.model.pin import Pin
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

KEYS = ("version", "sha256", "runId", "codeCommit", "hold")
COMMENTS = (
    "",
    "  # a comment",
    "   # version: 1",
    " # \"quoted\" 'text' {braces} &anchor *alias",
    "\t# after a tab",
    "   ",
)
BLANKS = ("", "\n", "\n\n", "# between\n", "    # indented\n\n")
OLD_VERSIONS = ("null", "~", "", "NULL", "1", "12", '"3"', "'4'", "&v 5")
OLD_TEXTS = ('""', "''", "", "~", "abc", '"abc"', "'it''s'", '"\\u00e9\\n"', "&s abc", "über", "123", '"a\n\n      b"')
EXTRAS = (
    "labels: {a: 1, b: [x, 'y']}",
    "notes: |\n{pad}  version: 99\n{pad}  # no comment\n",
    "folded: >-\n{pad}  runId: none\n{pad}  of ours",
    "nested:\n{pad}  version: 5\n{pad}  sha256: mine",
    "? complex\n{pad}: value",
    "anchor: &kept [1, 2]",
    "emoji: 🐍 𝔘 é",
    "\"quoted key\": 'single'",
    "empty:",
)
HEADS = (
    "",
    "# leading comment\n",
    "---\n",
    "%YAML 1.2\n---\n",
    "--- # marker\n",
    "\n\n# a\n\n",
    "defaults: &d {replicas: 1}\ncopy: *d\n",
    'text: "models:"\nblock: |\n  models:\n    - name: m0\n      version: 1\n',
)
TAILS = ("", "\n", "...\n", "# the end\n", "tail: *d2\n", "other:\n  version: 7\n  name: m0\n")


@dataclass
class File:
    """A values file, the model to bump, and the lines (from 0) on which its scalars stand."""

    text: str
    model: str
    lines: set[int]


@st.composite
def files(draw: st.DrawFn) -> File:
    count = draw(st.integers(1, 4))
    chosen = draw(st.integers(0, count - 1))
    indent = draw(st.sampled_from(("", "  ", "    ", "      ")))
    tail = draw(st.sampled_from(TAILS))
    text = draw(st.sampled_from(HEADS))
    if "*d2" in tail:
        text = text + "base: &d2 {x: 1}\n" if not text.startswith("%") and "---" not in text else text
        tail = tail if "d2" in text else ""
    text += draw(st.sampled_from(("models:", '"models":', "models :"))) + draw(st.sampled_from(COMMENTS)) + "\n"
    lines: set[int] = set()
    for number in range(count):
        text += draw(st.sampled_from(BLANKS))
        mine = lines if number == chosen else set()
        text = draw(entries(text, f"m{number}", indent, mine))
    text += tail
    if draw(st.booleans()) and text.endswith("\n") and not tail.startswith("..."):
        text = text[:-1]
    return File(text, f"m{chosen}", lines)


def entries(text: str, name: str, indent: str, lines: set[int]) -> st.SearchStrategy[str]:
    return st.one_of(block_entries(text, name, indent, lines), flow_entries(text, name, indent, lines))


def unique_anchors(value: str, suffix: str) -> str:
    """PyYAML's loader refuses an anchor that is defined twice, which YAML allows."""
    return re.sub(r"&(\w+)", rf"&\1{suffix}", value)


@st.composite
def block_entries(draw: st.DrawFn, text: str, name: str, indent: str, lines: set[int]) -> str:
    dash = "-" + " " * draw(st.integers(1, 3))
    pad = indent + " " * len(dash)
    fields = [("name", name), ("registeredModel", draw(st.sampled_from((f"{name}-det", f'"{name}-det"'))))]
    fields += [
        ("version", draw(st.sampled_from(OLD_VERSIONS))),
        ("hold", draw(st.sampled_from(("false", "no", "", "~")))),
    ]
    fields += [(key, draw(st.sampled_from(OLD_TEXTS))) for key in ("sha256", "runId", "codeCommit")]
    fields += [("", extra) for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=2, unique=True))]
    for position, (key, value) in enumerate(draw(st.permutations(fields))):
        lead = indent + dash if position == 0 else pad
        comment = draw(st.sampled_from(COMMENTS))
        value = unique_anchors(value, f"{name}{position}")
        if key:
            value = value.replace("\n      ", f"\n{pad}  ")
            spelled = draw(st.sampled_from((key, f'"{key}"', f"'{key}'", f"{key} ")))
            gap = draw(st.sampled_from((" ", "   ", f"\n{pad}    "))) if value else ""
            start = text.count("\n")
            text += f"{lead}{spelled}:{gap}{value}{comment}\n"
            if key in KEYS:
                lines.update(range(start, text.count("\n")))
        else:
            body = value.format(pad=pad) if "{pad}" in value else value
            text += f"{lead}{body}" + ("" if body.endswith("\n") else "\n")
        text += draw(st.sampled_from(("", "", "\n", f"{pad}# within\n")))
    return text


@st.composite
def flow_entries(draw: st.DrawFn, text: str, name: str, indent: str, lines: set[int]) -> str:
    plain = [value for value in OLD_TEXTS if "\n" not in value]
    fields = {"name": name, "registeredModel": f"{name}-det", "version": draw(st.sampled_from(OLD_VERSIONS))}
    fields |= {key: draw(st.sampled_from(plain)) for key in ("sha256", "runId", "codeCommit")}
    fields |= {"hold": "false"}
    gap = draw(st.sampled_from((" ", f"\n{indent}      ")))
    text += f"{indent}- {{"
    for position, key in enumerate(draw(st.permutations(list(fields)))):
        text += ("," + gap) if position else ""
        text += f"{key}: {unique_anchors(fields[key], f'{name}{position}')}"
        if key in KEYS:
            lines.add(text.count("\n"))
    return text + draw(st.sampled_from(("}", " }", ",}"))) + draw(st.sampled_from(COMMENTS)) + "\n"


hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
run_ids = st.one_of(
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.sampled_from(
        (
            "null",
            "true",
            "1e3",
            "0x10",
            "1_0",
            "-",
            "a: b",
            "#x",
            "it's",
            'say "x"',
            "\\n",
            "*a",
            "&a",
            "é",
            "%",
            "@",
            ".inf",
        )
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12),
)
commits = st.one_of(st.just(""), st.text("0123456789abcdef", min_size=40, max_size=40))
pins = st.one_of(st.builds(Pin, st.integers(1, 10**6), hexes, run_ids, commits), st.just(Pin(None, "", "")))


def load_as_helm_does(text: str) -> Any:
    """libyaml, of which Helm's parser is a port."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def by_name(loaded: Any) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in loaded["models"]}


def check_edit(file: File, pin: Pin, hold: bool | None, crlf: bool, bom: bool) -> None:
    """Only the wanted lines change, and both parsers read the wanted values."""
    text = file.text.replace("\n", "\r\n") if crlf else file.text
    before = (("\ufeff" if bom else "") + text).encode()

    after = edit_model(before, file.model, pin, path="values.yaml", hold=hold).content

    old_lines, new_lines = before.split(b"\n"), after.split(b"\n")
    # A value that went over several lines is written on one: the lines after it move up, but none of them changes.
    lost = len(old_lines) - len(new_lines)
    first, last = min(file.lines), max(file.lines)
    assert old_lines[:first] == new_lines[:first]
    assert old_lines[last + 1 :] == new_lines[last + 1 - lost :]
    if lost == 0:
        changed = {i for i, (a, b) in enumerate(zip(old_lines, new_lines, strict=True)) if a != b}
        assert changed <= file.lines
    for load in (load_as_helm_does, YAML(typ="safe", pure=True).load):
        try:
            was = by_name(load(before.decode("utf-8-sig")))
        except YAMLError:
            assert load is not load_as_helm_does  # pure Python parsers refuse a tab before a comment, which is legal
            continue
        now = by_name(load(after.decode("utf-8-sig")))
        mine = now[file.model]
        assert (mine["version"], mine["sha256"] or "", mine["runId"] or "") == (pin.version, pin.sha256, pin.run_id)
        assert (mine["codeCommit"] or "") == pin.code_commit
        # YAML 1.2 (ruamel.yaml) reads `no` as text; a hold that is off already is left as it is written.
        assert mine["hold"] is True if hold else mine["hold"] in (False, None, "no")
        for entry in (was[file.model], mine):
            for key in KEYS:
                entry.pop(key)
        assert was == now


EDITS = {
    "file": files(),
    "pin": pins,
    "hold": st.sampled_from((None, True, False)),
    "crlf": st.booleans(),
    "bom": st.booleans(),
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(**EDITS)
def test_only_the_wanted_lines_change_and_both_parsers_read_the_wanted_values(**edit: Any) -> None:
    check_edit(**edit)


@pytest.mark.soak
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(**EDITS)
def test_only_the_wanted_lines_change_in_thousands_of_files(**edit: Any) -> None:
    check_edit(**edit)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(file=files(), pin=pins)
def test_the_same_edit_twice_changes_nothing_the_second_time(file: File, pin: Pin) -> None:
    once = edit_model(file.text.encode(), file.model, pin, path="values.yaml").content
    assert edit_model(once, file.model, pin, path="values.yaml").content == once


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(file=files(), candidate=pins.filter(lambda pin: pin.version is not None), crlf=st.booleans())
def test_a_candidate_comes_and_goes_and_no_byte_is_left_of_it(file: File, candidate: Pin, crlf: bool) -> None:
    before = (file.text.replace("\n", "\r\n") if crlf else file.text).encode()
    live = read_model(before, file.model, path="values.yaml").pin
    # What the edit corrects in passing, such as a version in quotes, is no candidate's.
    tidy = edit_model(before, file.model, live, path="values.yaml").content

    tried = edit_model(tidy, file.model, live, path="values.yaml", candidate=candidate)

    assert (tried.after.pin, tried.after.candidate) == (live, candidate)
    was, now = (by_name(load_as_helm_does(text.decode())) for text in (tidy, tried.content))
    found = now[file.model].pop("candidate")
    assert (found["version"], found["sha256"], found["runId"], found.get("codeCommit", "")) == (
        candidate.version,
        candidate.sha256,
        candidate.run_id,
        candidate.code_commit,
    )
    assert was == now
    gone = edit_model(tried.content, file.model, live, path="values.yaml", candidate=None)
    assert gone.content == tidy
    moved = edit_model(tried.content, file.model, candidate, path="values.yaml", candidate=None)
    assert moved.content == edit_model(tidy, file.model, candidate, path="values.yaml").content


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused_or_edited_but_never_crash(content: bytes) -> None:
    try:
        edit_model(content, "m0", Pin(1, "a" * 64, "r"), path="values.yaml")
    except FileRefused as refused:
        assert refused.line >= 1
