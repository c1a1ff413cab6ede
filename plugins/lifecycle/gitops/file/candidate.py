"""The candidate in the text of a values file: one key beside the pin, put there and taken away without another byte.

It is written on a separate line, as a flow mapping: `candidate: {version: 7, sha256: "…", runId: "…", …}`. In an entry
that is itself a flow mapping it goes before the pin. A key of the pin that an older entry lacks is added in the same
way.
"""

from __future__ import annotations

import re

from lifecycle.gitops.errors import FileRefused
from lifecycle.gitops.file.entry import CANDIDATE, EDITABLE, OPTIONAL, Entry
from lifecycle.gitops.file.scalars import span, written
from lifecycle.gitops.file.yamltree import Node, walk
from lifecycle.model.pin import Pin

Splice = tuple[int, int, str]


def candidate_splice(entry: Entry, text: str, pin: Pin | None) -> Splice:
    """Which characters to replace by what, so that the entry has this candidate (None: none).

    Raises FileRefused where the candidate that stands there is written in a way that cannot be replaced.
    """
    key = entry.candidate
    if key is None:
        return (0, 0, "") if pin is None else insertion(entry, text, _key(pin))
    value = key[1]
    if value.kind == "alias" or any(node.shared for node in walk(value)):
        raise FileRefused(
            entry.path, value.line, f"{CANDIDATE} of the model {entry.name} is shared by an alias; remove it by hand."
        )
    return (key[0].start, _end(key, text), _key(pin)) if pin is not None else _removal(entry, key, text)


def _key(pin: Pin) -> str:
    scalars = {key: value for key, value in pin.scalars().items() if value or key not in OPTIONAL}
    values = ", ".join(f"{key}: {written(value, chr(34))}" for key, value in scalars.items())
    return f"{CANDIDATE}: {{{values}}}"


def insertion(entry: Entry, text: str, key: str) -> Splice:
    """Where a further `key: value` of the entry goes, after the pin, and the text of it."""
    present = [name for name in EDITABLE if name in entry.fields]
    fields = [entry.fields[name] for name in present]
    if _is_flow(entry, text):
        first = min(name.start for name, _ in fields)
        return first, first, f"{key}, "
    last = max(span(entry, field, *entry.fields[field], text)[1] for field in present)
    column = min(_column(name, text) for name, _ in entry.node.pairs)
    newline = text.find("\n", last)
    ending = "\r\n" if "\r\n" in text else "\n"
    if newline < 0:
        return len(text), len(text), f"{ending}{' ' * column}{key}"
    return newline + 1, newline + 1, f"{' ' * column}{key}{ending}"


def _removal(entry: Entry, key: tuple[Node, Node], text: str) -> Splice:
    end = _end(key, text)
    if _is_flow(entry, text):
        place = next(index for index, (name, _) in enumerate(entry.node.pairs) if name is key[0])
        following = entry.node.pairs[place + 1 :]
        return (key[0].start, following[0][0].start, "") if following else (entry.node.pairs[place - 1][1].end, end, "")
    start, newline = text.rfind("\n", 0, key[0].start) + 1, text.find("\n", end)
    if newline >= 0:
        return start, newline + 1, ""
    return len(text[:start].rstrip("\r\n")), len(text), ""


def _end(key: tuple[Node, Node], text: str) -> int:
    """Where the value's last character stands: a block mapping's own end is only where the next token begins."""
    value = key[1]
    if value.kind == "mapping" and text[value.start : value.start + 1] != "{":
        return max(node.end for node in walk(value) if node.kind == "scalar")
    if value.start < value.end:
        return value.end
    colon = re.compile(r"[ \t]*:").match(text, key[0].end)
    return colon.end() if colon else key[0].end


def _is_flow(entry: Entry, text: str) -> bool:
    return re.match(r"(?:[&!]\S*\s+)*\{", text[entry.node.start : entry.node.end]) is not None


def _column(node: Node, text: str) -> int:
    return node.start - (text.rfind("\n", 0, node.start) + 1)
