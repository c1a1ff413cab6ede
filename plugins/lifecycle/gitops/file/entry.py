"""Reading: one model's entry of a values file, and where in the text its keys stand.

Nothing is guessed: a file that lacks the model, holds it twice or says something unclear is refused with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lifecycle.gitops.errors import FileRefused
from lifecycle.gitops.file.yamltree import InvalidYaml, Node, parse_with_libyaml, parse_with_ruamel, walk
from lifecycle.gitops.models import PinnedModel
from lifecycle.model.pin import Pin

BOM = "\ufeff"
EDITABLE = tuple(Pin(None, "", "").scalars())
# Keys that an entry may lack: one from before pins had it, and one that KServe alone needs. A release adds them.
CODE_COMMIT = "codeCommit"
STORAGE_URI = "storageUri"
OPTIONAL = (CODE_COMMIT, STORAGE_URI)
REQUIRED = tuple(key for key in EDITABLE if key not in OPTIONAL)
# A model that is not made here has no version: `source: {s3: …}` is its whole pin.
SOURCE, S3 = "source", "s3"
CANDIDATE = "candidate"
TRUE = {"true", "yes", "on", "y"}
FALSE = {"false", "no", "off", "n"}
NULL = {"", "~", "null"}


@dataclass(frozen=True)
class Entry:
    """One model's mapping in the tree, with where its keys are."""

    path: str
    name: str
    node: Node
    fields: dict[str, tuple[Node, Node]]
    candidate: tuple[Node, Node] | None = None


def read_model(content: bytes, model: str, *, path: str) -> PinnedModel:
    """The entry of that name in the file.

    Raises FileRefused, with path and line, where the file does not hold the model exactly once or is not valid.
    """
    _, text = decode(content, path)
    return pinned(find(parse(text, path), model, path))


def read_models(content: bytes, *, path: str) -> list[PinnedModel]:
    """Every entry of the file, in its order.

    Raises FileRefused as `read_model` does.
    """
    _, text = decode(content, path)
    root = parse(text, path)
    lists = root.get("models") if root.kind == "mapping" else []
    if len(lists) != 1 or lists[0][1].resolved.kind != "sequence":
        raise FileRefused(path, root.line, "the file is not a mapping with one list `models`.")
    names = [value.resolved.value for item in lists[0][1].resolved.items for _, value in item.resolved.get("name")]
    return [pinned(find(root, name, path)) for name in names if name]


def entry_bytes(content: bytes, model: str, *, path: str) -> bytes:
    """The entry as it stands in the file: where these bytes are in another version of it, the entry is the same."""
    _, text = decode(content, path)
    node = find(parse(text, path), model, path).node
    return text[node.start : node.end].rstrip().encode()


def decode(content: bytes, path: str) -> tuple[str, str]:
    """The byte order mark, if any, and the text after it (whose characters the parsers count)."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused(path, line, "the file is not UTF-8. Save it as UTF-8.") from error
    return (BOM, text[1:]) if text.startswith(BOM) else ("", text)


def parse(text: str, path: str) -> Node:
    """The tree by ruamel.yaml; by libyaml where that refuses a legal text (such as a tab before a comment)."""
    try:
        return parse_with_ruamel(text)
    except InvalidYaml as error:
        try:
            return parse_with_libyaml(text)
        except InvalidYaml:
            problem = f"{error.problem}. Correct the file; nothing was changed."
            raise FileRefused(path, error.line, problem) from error


def find(root: Node, model: str, path: str) -> Entry:
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
    return Entry(path, model, found[0], _fields(found[0], model, path), _candidate_pair(found[0], model, path))


def _names(item: Node, model: str) -> bool:
    return item.kind == "mapping" and any(value.resolved.value == model for _, value in item.get("name"))


def _all_names(models: Node) -> set[str]:
    return {value.resolved.value for item in models.items for _, value in item.resolved.get("name")}


def _fields(item: Node, model: str, path: str) -> dict[str, tuple[Node, Node]]:
    fields: dict[str, tuple[Node, Node]] = {}
    merged = item.get("<<")
    if item.get(SOURCE):
        return _foreign_fields(item, model, path)
    for key in ("name", "registeredModel", *EDITABLE, "hold"):
        pairs = item.get(key)
        if len(pairs) > 1:
            raise FileRefused(path, pairs[1][0].line, f"the model {model} has the key {key} twice.")
        if pairs:
            fields[key] = pairs[0]
        elif key in ("name", "registeredModel", *REQUIRED) or (merged and (key == "hold" or _brings(merged, key))):
            line = merged[0][0].line if merged else item.line
            hint = " Write it out: a value that a merge key brings in cannot be edited here." if merged else ""
            raise FileRefused(path, line, f"the model {model} has no key {key}.{hint}")
    for key, (_, value) in fields.items():
        if value.resolved.kind != "scalar":
            raise FileRefused(path, value.line, f"{key} of the model {model} is not a single value.")
    return fields


def _foreign_fields(item: Node, model: str, path: str) -> dict[str, tuple[Node, Node]]:
    """The fields of a model that is not made here: where its folder is stands in for the pin."""
    found = {key: item.get(key) for key in ("name", SOURCE, "hold")}
    twice = next((key for key, pairs in found.items() if len(pairs) > 1), None)
    if twice is not None:
        raise FileRefused(path, found[twice][1][0].line, f"the model {model} has the key {twice} twice.")
    foreign = [key for key in ("registeredModel", *EDITABLE, CANDIDATE) if item.get(key)]
    if foreign:
        raise FileRefused(
            path, item.line, f"the model {model} has {SOURCE} and {', '.join(foreign)}: it is served by one of them."
        )
    place = found[SOURCE][0][1]
    inner = place.get(S3) if place.kind == "mapping" else []
    if len(inner) != 1 or inner[0][1].resolved.kind != "scalar":
        raise FileRefused(path, place.line, f"{SOURCE} of the model {model} is not a mapping with the one key {S3}.")
    fields = {key: pairs[0] for key, pairs in found.items() if pairs and key != SOURCE}
    return {**fields, STORAGE_URI: inner[0]}


def _brings(merged: list[tuple[Node, Node]], key: str) -> bool:
    """Whether a merge key brings in that key."""
    return any(node.get(key) for _, value in merged for node in walk(value.resolved))


def _candidate_pair(item: Node, model: str, path: str) -> tuple[Node, Node] | None:
    pairs = item.get(CANDIDATE)
    if len(pairs) > 1:
        raise FileRefused(path, pairs[1][0].line, f"the model {model} has the key {CANDIDATE} twice.")
    return pairs[0] if pairs else None


def pinned(entry: Entry) -> PinnedModel:
    """What the entry says."""
    values = {key: value.resolved for key, (_, value) in entry.fields.items()}
    pin = _pin(values, entry, f"the model {entry.name}")
    hold = _hold(values.get("hold"), entry)
    registered = values["registeredModel"].value if "registeredModel" in values else ""
    return PinnedModel(entry.name, registered, pin, hold, _candidate(entry), _is_published(entry), _template(entry))


def _is_published(entry: Entry) -> bool:
    """Whether the entry's versions are served from a folder of their own in a bucket: it has the key for it."""
    return STORAGE_URI in entry.fields and "registeredModel" in entry.fields


def _template(entry: Entry) -> str:
    found = entry.node.get("template")
    return found[0][1].resolved.value if found else ""


def _pin(values: dict[str, Node], entry: Entry, whose: str) -> Pin:
    version = values.get("version")
    if version is None or is_null(version):
        number = None
    elif re.fullmatch(r"0|[1-9][0-9]*", version.value):
        number = int(version.value)
    else:
        raise FileRefused(
            entry.path, version.line, f"version of {whose} is {version.value!r}, not a whole number or null."
        )
    return Pin.from_scalars(number, {key: "" if is_null(node) else node.value for key, node in values.items()})


def _candidate(entry: Entry) -> Pin | None:
    """The pin under `candidate`; None where the key is absent or empty, or names no version."""
    if entry.candidate is None:
        return None
    value = entry.candidate[1].resolved
    if value.kind == "scalar" and is_null(value):
        return None
    values = {key: found[0][1].resolved for key in EDITABLE if len(found := value.get(key)) == 1}
    lacks = [key for key in REQUIRED if key not in values]
    if value.kind != "mapping" or lacks or any(node.kind != "scalar" for node in values.values()):
        raise FileRefused(
            entry.path,
            value.line,
            f"{CANDIDATE} of the model {entry.name} is not a mapping with {', '.join(REQUIRED)}. Correct it, or remove "
            "the key: what is live does not change by that.",
        )
    pin = _pin(values, entry, f"the {CANDIDATE} of the model {entry.name}")
    return None if pin.version is None else pin


def is_null(node: Node) -> bool:
    return node.style == "" and node.value.lower() in NULL


def _hold(node: Node | None, entry: Entry) -> bool:
    if node is None or is_null(node):
        return False
    word = node.value.lower()
    if word not in TRUE | FALSE:
        # Guessing here could overwrite what a person wanted kept.
        raise FileRefused(
            entry.path, node.line, f"hold of the model {entry.name} is {node.value!r}, not true or false."
        )
    return word in TRUE
