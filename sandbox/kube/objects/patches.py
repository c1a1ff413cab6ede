"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sandbox.kube.errors import ApiError

# The merge keys of the lists that Kubernetes merges item by item (`patchMergeKey` in its types).
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "secrets": ("name",),
}
PORT_KEYS = ("containerPort", "port")
PRIMITIVE_SETS = ("finalizers",)


def merge_key(field: str, items: list[Any]) -> tuple[str, ...] | None:
    """The keys that identify an item of the list ``field``, or None for a list that is replaced as a whole."""
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    if field == "ports":
        key = next((key for key in PORT_KEYS if all(key in item for item in items)), None)
        return (key, "protocol") if key else None
    keys = MERGE_KEYS.get(field)
    return keys if keys and all(key in item for item in items for key in keys) else None


def item_key(item: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """The identity of a list item; a port's protocol defaults to TCP."""
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def merge(target: Any, patch: Any) -> Any:
    """JSON merge patch: null removes, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, field: str = "") -> Any:
    """Strategic merge patch with ``$patch``, ``$deleteFromPrimitiveList``, ``$setElementOrder``, ``$retainKeys``."""
    if isinstance(patch, dict):
        return _strategic_map(target if isinstance(target, dict) else {}, patch)
    if isinstance(patch, list):
        return _strategic_list(target if isinstance(target, list) else [], patch, field)
    return copy.deepcopy(patch)


def _strategic_map(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target)
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key in ("$patch", "$retainKeys") or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name, []) if item not in value]
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, key)
    for key, order in patch.items():
        if key.startswith("$setElementOrder/"):
            _reorder(result, key.partition("/")[2], order)
    return result


def _strategic_list(target: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in PRIMITIVE_SETS:
        return _ordered(target, [(item, item) for item in patch], lambda item: item)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if item.get("$patch") != "replace"]
    keys = merge_key(field, patch)
    if keys is None:
        return copy.deepcopy(patch)
    # A patch may name a port without its protocol: then the number alone identifies it.
    if field == "ports" and not all("protocol" in item for item in patch):
        keys = keys[:1]
    gone = [item_key(item, keys) for item in patch if item.get("$patch") == "delete"]
    target = [item for item in target if item_key(item, keys) not in gone]
    present = {item_key(item, keys): item for item in target}
    wanted = [(item_key(item, keys), item) for item in patch if item.get("$patch") != "delete"]
    merged = [(key, strategic(present.get(key, {}), item)) for key, item in wanted]
    return _ordered(target, merged, lambda item: item_key(item, keys))


def _ordered(target: list[Any], patch: list[tuple[Any, Any]], key: Callable[[Any], Any]) -> list[Any]:
    """The items of both: what a patch adds comes before what it does not name, the rest stays in its order."""
    order = [key(item) for item in target]
    named = {name for name, _ in patch}
    left = [item for item in target if key(item) not in named]
    result = []
    for name, item in patch:
        while left and name in order and order.index(key(left[0])) < order.index(name):
            result.append(left.pop(0))
        result.append(item)
    return result + left


def _reorder(obj: dict[str, Any], field: str, order: list[Any]) -> None:
    items = obj.get(field)
    if not isinstance(items, list):
        return
    if order and isinstance(order[0], dict):
        keys = tuple(order[0])
        wanted = [item_key(entry, keys) for entry in order]
        items.sort(key=lambda item: wanted.index(item_key(item, keys)) if item_key(item, keys) in wanted else -1)
    else:
        items.sort(key=lambda item: order.index(item) if item in order else -1)


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902. Raises ApiError 422 when a path is absent or a ``test`` fails."""
    document = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(422, f"the JSON patch {operation} cannot be applied: {error!r}", reason="Invalid") from error
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    verb, path = operation["op"], _pointer(operation["path"])
    if verb == "test":
        if _walk(document, path) != operation["value"]:
            raise ValueError("the value tested for is another one")
        return document
    if verb in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_walk(document, source))
        if verb == "move":
            document = _remove(document, source)
        return _add(document, path, value)
    if verb == "add":
        return _add(document, path, copy.deepcopy(operation["value"]))
    if verb == "remove":
        return _remove(document, path)
    if verb == "replace":
        # As Kubernetes has it, a key that is not there is added; an item of a list must be there.
        if path and isinstance(_walk(document, path[:-1]), list):
            document = _remove(document, path)
        return _add(document, path, copy.deepcopy(operation["value"]))
    raise ValueError(f"unknown operation {verb!r}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is not a JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _walk(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _walk(document, path[:-1])
    if isinstance(parent, list):
        index = len(parent) if path[-1] == "-" else int(path[-1])
        if not 0 <= index <= len(parent):
            raise IndexError(f"index {index} is out of range")
        parent.insert(index, value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        return {}
    parent = _walk(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document
