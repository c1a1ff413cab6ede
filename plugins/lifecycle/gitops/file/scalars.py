"""Scalars in the text of a values file: where one stands, what it means, and how a new value is written there."""

from __future__ import annotations

import re

from lifecycle.gitops.errors import FileRefused
from lifecycle.gitops.file.entry import FALSE, NULL, TRUE, Entry, is_null
from lifecycle.gitops.file.yamltree import Node

# A plain scalar of this shape is a string to every YAML reader, unless it is one of the words that mean something else.
_SURELY_A_STRING = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")


def span(entry: Entry, key: str, name: Node, value: Node, text: str) -> tuple[int, int]:
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


def means(node: Node, value: int | str | bool | None) -> bool:
    """Whether the scalar is read as that very value: quotes make a string of a number, no quotes the other way."""
    if isinstance(value, str):
        return node.style != "" or is_null(node) or _plain_string(node.value)
    return node.style == ""


def _plain_string(text: str) -> bool:
    """Whether the text is a string to every YAML reader when it stands without quotes."""
    return _SURELY_A_STRING.fullmatch(text) is not None and text.lower() not in TRUE | FALSE | NULL


def written(value: int | str | bool | None, style: str) -> str:
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
