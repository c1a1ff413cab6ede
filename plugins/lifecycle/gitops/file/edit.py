"""The edit: find one model's scalars in a values file and splice new ones into its bytes.

Loading and dumping would rewrite the whole file (quotes, order, comments). Here the parser only says where the scalars
stand; everything between them is carried over as it is. The result is parsed again, by another parser, before anybody
sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from lifecycle.gitops.errors import FileRefused, ModelMismatch
from lifecycle.gitops.file.entry import EDITABLE, FALSE, NULL, TRUE, Entry, decode, find, is_null, parse, pinned
from lifecycle.gitops.file.yamltree import InvalidYaml, Node, parse_with_libyaml, parse_with_ruamel, walk
from lifecycle.gitops.models import PinnedModel
from lifecycle.model.pin import Pin

# A plain scalar of this shape is a string to every YAML reader, unless it is one of the words above.
_SURELY_A_STRING = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Edit:
    """One edited file: the bytes, and the entry before and after."""

    content: bytes
    before: PinnedModel
    after: PinnedModel


def edit_model(
    content: bytes,
    model: str,
    pin: Pin,
    *,
    path: str,
    registered_model: str | None = None,
    hold: bool | None = None,
) -> Edit:
    """The file with that model's pin (and hold, if given) changed, and not one byte more.

    Raises FileRefused, with path and line, where this cannot be done safely, and ModelMismatch where the entry belongs
    to another registered model than `registered_model`.
    """
    mark, text = decode(content, path)
    tree = parse(text, path)
    entry = find(tree, model, path)
    before = pinned(entry)
    if registered_model is not None and before.registered_model != registered_model:
        raise ModelMismatch(
            path,
            entry.fields["registeredModel"][1].line,
            f"the model {model} is of the registered model {before.registered_model}, not {registered_model}. Correct "
            "registeredModel in the file, or the name that the run was started with.",
        )
    after = PinnedModel(model, before.registered_model, pin, before.hold if hold is None else hold)
    edited = text
    for start, end, new in sorted(_splices(entry, text, before, after), reverse=True):
        edited = edited[:start] + new + edited[end:]
    _verify(tree, edited, after, path)
    return Edit((mark + edited).encode(), before, after)


def _splices(entry: Entry, text: str, before: PinnedModel, after: PinnedModel) -> list[tuple[int, int, str]]:
    """Which characters to replace by what, for the scalars that do not say what they shall."""
    splices = []
    former, wanted = ({**model.pin.scalars(), "hold": model.hold} for model in (before, after))
    for key, new in wanted.items():
        old = former[key]
        if old == new and (key == "hold" or _means(entry.fields[key][1].resolved, new)):
            continue
        if key not in entry.fields:
            raise FileRefused(
                entry.path,
                entry.node.line,
                f"the model {entry.name} has no key {key}. Add `{key}: false` by hand first.",
            )
        name, value = entry.fields[key]
        start, end = _span(entry, key, name, value, text)
        written = _written(new, value.style)
        splices.append((start, end, written if start < end else f" {written}"))
    return splices


def _span(entry: Entry, key: str, name: Node, value: Node, text: str) -> tuple[int, int]:
    """Where the value's characters stand: an empty span after the colon if there are none."""

    def refuse(problem: str) -> FileRefused:
        return FileRefused(
            entry.path, value.line, f"{key} of the model {entry.name} {problem}; write the value out plainly."
        )

    if value.kind == "alias" or name.kind == "alias":
        raise refuse("is an alias")
    if value.shared:
        raise refuse(f"is the anchor &{value.anchor}, which an alias elsewhere uses")
    if value.tag is not None:
        raise refuse(f"carries the tag {value.tag}")
    if value.style in ("|", ">"):
        raise refuse("is a block scalar")
    if value.start < value.end:
        if value.anchor is None:
            return value.start, value.end
        after_anchor = re.match(r"&\S+\s+", text[value.start : value.end])
        if after_anchor is None:
            raise refuse(f"is empty behind the anchor &{value.anchor}")
        return value.start + after_anchor.end(), value.end
    colon = re.compile(r"[ \t]*:").match(text, name.end)
    if colon is None:
        raise refuse("is empty and has no colon")
    return colon.end(), colon.end()


def _means(node: Node, value: int | str | bool | None) -> bool:
    """Whether the scalar is read as that very value: quotes make a string of a number, no quotes the other way."""
    if isinstance(value, str):
        return node.style != "" or is_null(node) or _plain_string(node.value)
    return node.style == ""


def _plain_string(text: str) -> bool:
    """Whether the text is a string to every YAML reader when it stands without quotes."""
    return _SURELY_A_STRING.fullmatch(text) is not None and text.lower() not in TRUE | FALSE | NULL


def _written(value: int | str | bool | None, style: str) -> str:
    """The scalar as YAML, in the quotes that stood there where they can hold it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    if style == "" and _plain_string(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _verify(before: Node, edited: str, intended: PinnedModel, path: str) -> None:
    """Parse the result: the entry is as intended, and no other scalar has changed.

    libyaml reads it, a parser that had no part in the edit; where its reading differs from ruamel.yaml's (they disagree
    about rare corners of YAML), ruamel.yaml's own reading decides.
    """
    for parse in (parse_with_libyaml, parse_with_ruamel):
        try:
            after = parse(edited)
            if _only_intended(before, after, intended, path):
                return
        except (InvalidYaml, FileRefused):
            continue
    line = find(before, intended.name, path).node.line
    raise FileRefused(path, line, f"the model {intended.name} is written in a way that cannot be edited safely.")


def _only_intended(before: Node, after: Node, intended: PinnedModel, path: str) -> bool:
    entry = find(after, intended.name, path)
    ours = {id(value) for key, (_, value) in entry.fields.items() if key in (*EDITABLE, "hold")}
    return pinned(entry) == intended and all(
        a is not None and b is not None and (id(b) in ours or _content(a) == _content(b))
        for a, b in zip_longest(walk(before), walk(after))
    )


def _content(node: Node) -> tuple[str | None, ...]:
    return (node.kind, node.value, node.style, node.anchor, node.tag)
