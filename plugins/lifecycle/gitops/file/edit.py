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
from lifecycle.gitops.file.yamltree import InvalidYaml, Node, parse_with_libyaml, parse_with_ruamel, walk
from lifecycle.gitops.models import PinnedModel
from lifecycle.model.pin import Pin

BOM = "\ufeff"
EDITABLE = tuple(Pin(None, "", "").scalars())
_TRUE = {"true", "yes", "on", "y"}
_FALSE = {"false", "no", "off", "n"}
_NULL = {"", "~", "null"}
# A plain scalar of this shape is a string to every YAML reader, unless it is one of the words above.
_SURELY_A_STRING = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Edit:
    """One edited file: the bytes, and the entry before and after."""

    content: bytes
    before: PinnedModel
    after: PinnedModel


@dataclass(frozen=True)
class _Entry:
    """One model's mapping in the tree, with where its keys are."""

    path: str
    name: str
    node: Node
    fields: dict[str, tuple[Node, Node]]


def read_model(content: bytes, model: str, *, path: str) -> PinnedModel:
    """The entry of that name in the file.

    Raises FileRefused, with path and line, where the file does not hold the model exactly once or is not valid.
    """
    _, text = _decode(content, path)
    return _pinned(_find(_parse(text, path), model, path))


def read_models(content: bytes, *, path: str) -> list[PinnedModel]:
    """Every entry of the file, in its order.

    Raises FileRefused as `read_model` does.
    """
    _, text = _decode(content, path)
    root = _parse(text, path)
    lists = root.get("models") if root.kind == "mapping" else []
    if len(lists) != 1 or lists[0][1].resolved.kind != "sequence":
        raise FileRefused(path, root.line, "the file is not a mapping with one list `models`.")
    names = [value.resolved.value for item in lists[0][1].resolved.items for _, value in item.resolved.get("name")]
    return [_pinned(_find(root, name, path)) for name in names if name]


def entry_bytes(content: bytes, model: str, *, path: str) -> bytes:
    """The entry as it stands in the file: where these bytes are in another version of it, the entry is the same."""
    _, text = _decode(content, path)
    node = _find(_parse(text, path), model, path).node
    return text[node.start : node.end].rstrip().encode()


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
    mark, text = _decode(content, path)
    tree = _parse(text, path)
    entry = _find(tree, model, path)
    before = _pinned(entry)
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


def _decode(content: bytes, path: str) -> tuple[str, str]:
    """The byte order mark, if any, and the text after it (whose characters the parsers count)."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused(path, line, "the file is not UTF-8. Save it as UTF-8.") from error
    return (BOM, text[1:]) if text.startswith(BOM) else ("", text)


def _parse(text: str, path: str) -> Node:
    """The tree by ruamel.yaml; by libyaml where that refuses a legal text (such as a tab before a comment)."""
    try:
        return parse_with_ruamel(text)
    except InvalidYaml as error:
        try:
            return parse_with_libyaml(text)
        except InvalidYaml:
            problem = f"{error.problem}. Correct the file; nothing was changed."
            raise FileRefused(path, error.line, problem) from error


def _find(root: Node, model: str, path: str) -> _Entry:
    """The one entry of that name under the one key `models`."""
    if root.kind != "mapping":
        raise FileRefused(path, root.line, "the file is not a mapping with a list `models`.")
    lists = root.get("models")
    if len(lists) != 1:
        line = lists[1][0].line if lists else root.line
        raise FileRefused(path, line, "the key models is there twice." if lists else "the file has no list `models`.")
    models = lists[0][1]
    if models.resolved.kind != "sequence":
        raise FileRefused(path, models.line, "`models` is not a list.")
    found = [item for item in models.resolved.items if _names(item.resolved, model)]
    if not found:
        known = ", ".join(sorted(_all_names(models.resolved))) or "none"
        raise FileRefused(
            path,
            lists[0][0].line,
            f"the file has no model {model} (it has: {known}). Add an entry for it by hand first.",
        )
    if len(found) > 1:
        raise FileRefused(path, found[1].line, f"the model {model} is there twice (first in line {found[0].line}).")
    for node, what in ((models, "the list `models`"), (found[0], f"the entry of {model}")):
        if node.kind == "alias" or node.shared:
            raise FileRefused(
                path, node.line, f"{what} is shared by an alias; changing it would change more than one place."
            )
    return _Entry(path, model, found[0], _fields(found[0], model, path))


def _names(item: Node, model: str) -> bool:
    return item.kind == "mapping" and any(value.resolved.value == model for _, value in item.get("name"))


def _all_names(models: Node) -> set[str]:
    return {value.resolved.value for item in models.items for _, value in item.resolved.get("name")}


def _fields(item: Node, model: str, path: str) -> dict[str, tuple[Node, Node]]:
    fields: dict[str, tuple[Node, Node]] = {}
    merged = item.get("<<")
    for key in ("name", "registeredModel", *EDITABLE, "hold"):
        pairs = item.get(key)
        if len(pairs) > 1:
            raise FileRefused(path, pairs[1][0].line, f"the model {model} has the key {key} twice.")
        if pairs:
            fields[key] = pairs[0]
        elif key != "hold" or merged:
            line = merged[0][0].line if merged else item.line
            hint = " Write it out: a value that a merge key brings in cannot be edited here." if merged else ""
            raise FileRefused(path, line, f"the model {model} has no key {key}.{hint}")
    for key, (_, value) in fields.items():
        if value.resolved.kind != "scalar":
            raise FileRefused(path, value.line, f"{key} of the model {model} is not a single value.")
    return fields


def _pinned(entry: _Entry) -> PinnedModel:
    values = {key: value.resolved for key, (_, value) in entry.fields.items()}
    version = values["version"]
    if _is_null(version):
        number = None
    elif re.fullmatch(r"0|[1-9][0-9]*", version.value):
        number = int(version.value)
    else:
        raise FileRefused(
            entry.path,
            version.line,
            f"version of the model {entry.name} is {version.value!r}, not a whole number or null.",
        )
    pin = Pin.from_scalars(number, {key: "" if _is_null(node) else node.value for key, node in values.items()})
    return PinnedModel(entry.name, values["registeredModel"].value, pin, _hold(values.get("hold"), entry))


def _is_null(node: Node) -> bool:
    return node.style == "" and node.value.lower() in _NULL


def _hold(node: Node | None, entry: _Entry) -> bool:
    if node is None or _is_null(node):
        return False
    word = node.value.lower()
    if word not in _TRUE | _FALSE:
        # Guessing here could overwrite what a person wanted kept.
        raise FileRefused(
            entry.path, node.line, f"hold of the model {entry.name} is {node.value!r}, not true or false."
        )
    return word in _TRUE


def _splices(entry: _Entry, text: str, before: PinnedModel, after: PinnedModel) -> list[tuple[int, int, str]]:
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


def _span(entry: _Entry, key: str, name: Node, value: Node, text: str) -> tuple[int, int]:
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
        return node.style != "" or _is_null(node) or _plain_string(node.value)
    return node.style == ""


def _plain_string(text: str) -> bool:
    """Whether the text is a string to every YAML reader when it stands without quotes."""
    return _SURELY_A_STRING.fullmatch(text) is not None and text.lower() not in _TRUE | _FALSE | _NULL


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
    line = _find(before, intended.name, path).node.line
    raise FileRefused(path, line, f"the model {intended.name} is written in a way that cannot be edited safely.")


def _only_intended(before: Node, after: Node, intended: PinnedModel, path: str) -> bool:
    entry = _find(after, intended.name, path)
    ours = {id(value) for key, (_, value) in entry.fields.items() if key in (*EDITABLE, "hold")}
    return _pinned(entry) == intended and all(
        a is not None and b is not None and (id(b) in ours or _content(a) == _content(b))
        for a, b in zip_longest(walk(before), walk(after))
    )


def _content(node: Node) -> tuple[str | None, ...]:
    return (node.kind, node.value, node.style, node.anchor, node.tag)
