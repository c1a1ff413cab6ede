"""The edit: find one model's scalars in a values file and splice new ones into its bytes.

Loading and dumping would rewrite the whole file (quotes, order, comments). Here the parser only says where the scalars
stand; everything between them is carried over as it is. The result is parsed again, by another parser, before anybody
sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from lifecycle.gitops.errors import FileRefused, ModelMismatch
from lifecycle.gitops.file.candidate import candidate_splice, insertion
from lifecycle.gitops.file.entry import EDITABLE, OPTIONAL, Entry, decode, find, parse, pinned
from lifecycle.gitops.file.scalars import means, span, written
from lifecycle.gitops.file.yamltree import InvalidYaml, Node, parse_with_libyaml, parse_with_ruamel, walk
from lifecycle.gitops.models import PinnedModel
from lifecycle.model.pin import Pin


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
    candidate: Pin | Literal["as it is"] | None = "as it is",
) -> Edit:
    """The file with that model's pin (and hold and candidate, if given) changed, and not one byte more.

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
            entry.fields.get("registeredModel", (entry.node, entry.node))[1].line,
            f"the model {model} is of {_whose(before.registered_model)}, not {registered_model or 'none'}. Correct "
            "registeredModel in the file, or the name that the run was started with.",
        )
    after = PinnedModel(
        model,
        before.registered_model,
        pin,
        before.hold if hold is None else hold,
        before.candidate if candidate == "as it is" else candidate,
        before.published or bool(registered_model and pin.uri),
        before.template,
    )
    edited = text
    splices = _splices(entry, text, before, after)
    if after.candidate != before.candidate:
        splices.append(candidate_splice(entry, text, after.candidate))
    for start, end, new in sorted(splices, reverse=True):
        edited = edited[:start] + new + edited[end:]
    _verify(tree, edited, after, path)
    return Edit((mark + edited).encode(), before, after)


def _whose(registered_model: str) -> str:
    return f"the registered model {registered_model}" if registered_model else "no registered model (it has a source)"


def _splices(entry: Entry, text: str, before: PinnedModel, after: PinnedModel) -> list[tuple[int, int, str]]:
    """Which characters to replace by what, for the scalars that do not say what they shall."""
    splices = []
    former, wanted = ({**model.pin.scalars(), "hold": model.hold} for model in (before, after))
    for key, new in wanted.items():
        old = former[key]
        if old == new and (key not in entry.fields or key == "hold" or means(entry.fields[key][1].resolved, new)):
            continue
        if key in OPTIONAL and key not in entry.fields:
            splices.append(insertion(entry, text, f"{key}: {written(new, chr(34))}"))
            continue
        if key not in entry.fields:
            raise FileRefused(
                entry.path,
                entry.node.line,
                f"the model {entry.name} has no key {key}. Add `{key}: false` by hand first.",
            )
        name, value = entry.fields[key]
        start, end = span(entry, key, name, value, text)
        text_of_it = written(new, value.style)
        splices.append((start, end, text_of_it if start < end else f" {text_of_it}"))
    return splices


def _verify(before: Node, edited: str, intended: PinnedModel, path: str) -> None:
    """Parse the result: the entry is as intended, and no other scalar has changed.

    libyaml reads it, a parser that had no part in the edit; where its reading differs from ruamel.yaml's (they disagree
    about rare corners of YAML), ruamel.yaml's own reading decides.
    """
    for reading in (parse_with_libyaml, parse_with_ruamel):
        try:
            after = reading(edited)
            if _only_intended(before, after, intended, path):
                return
        except (InvalidYaml, FileRefused):
            continue
    line = find(before, intended.name, path).node.line
    raise FileRefused(path, line, f"the model {intended.name} is written in a way that cannot be edited safely.")


def _only_intended(before: Node, after: Node, intended: PinnedModel, path: str) -> bool:
    entry = find(after, intended.name, path)
    ours = {id(value) for key, (_, value) in entry.fields.items() if key in (*EDITABLE, "hold")}
    others = (_others(tree, find(tree, intended.name, path)) for tree in (before, after))
    return pinned(entry) == intended and all(
        a is not None and b is not None and (id(b) in ours or _content(a) == _content(b))
        for a, b in zip_longest(*others)
    )


def _others(tree: Node, entry: Entry) -> list[Node]:
    """Every node of a tree in the order of the text, without the keys and values that an edit may add or remove."""
    movable = (*(entry.candidate or ()), *(node for key in OPTIONAL for node in entry.fields.get(key, ())))
    skipped = {id(node) for part in movable for node in walk(part)}
    return [node for node in walk(tree) if id(node) not in skipped]


def _content(node: Node) -> tuple[str | None, ...]:
    return (node.kind, node.value, node.style, node.anchor, node.tag)
