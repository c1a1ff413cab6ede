"""Server-side apply: field ownership in ``metadata.managedFields``, conflicts, and the removal of fields given up.

Ownership is recorded for server-side appliers alone: a field that somebody changed by PUT or PATCH has no owner, so an
applier takes it back without a conflict (a cluster would report one unless the applier forces).
"""

from __future__ import annotations

import copy
import json
from typing import Any

from sandbox.kube import clock
from sandbox.kube.errors import ApiError
from sandbox.kube.objects.patches import PRIMITIVE_SETS, item_key, merge_key

Fields = dict[str, Any]
# Maps that have one owner as a whole (`x-kubernetes-map-type: atomic`).
ATOMIC_MAPS = ("selector", "labelSelector", "nodeSelector", "secretKeyRef", "configMapKeyRef", "fieldRef")
_SERVER_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
)  # fmt: skip


def apply(
    live: dict[str, Any] | None, config: dict[str, Any], manager: str, force: bool, keyed: bool
) -> dict[str, Any]:
    """The object after ``manager`` applied ``config`` to ``live`` (None: it does not exist yet).

    ``keyed``: lists such as containers merge by key; False for custom resources, whose lists are atomic.
    Raises ApiError 409 naming the fields that another applier owns with another value, unless ``force``.
    """
    if any("managedFields" in part for part in (config.get("metadata") or {},)):
        raise ApiError(400, "metadata.managedFields must be nil")
    wanted = fields_of(config, keyed)
    entries = copy.deepcopy((live or {}).get("metadata", {}).get("managedFields") or [])
    own: Fields = next((e["fieldsV1"] for e in entries if e["manager"] == manager), {})
    others = [entry for entry in entries if entry["manager"] != manager]
    base = live or {}
    _settle_conflicts(base, config, wanted, others, force, keyed)
    result = _upsert(base, config, "", keyed)
    for path in _leaves(own):
        if not _owned(wanted, path) and not any(_owned(entry["fieldsV1"], path) for entry in others):
            _prune(result, path)
    entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": config.get("apiVersion", ""),
        "time": clock.now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": wanted,
    }
    former = next((e for e in entries if e["manager"] == manager), None)
    if former and former["fieldsV1"] == wanted:
        entry["time"] = former["time"]
    result.setdefault("metadata", {})["managedFields"] = [*(e for e in others if e["fieldsV1"]), entry]
    return result


def fields_of(config: dict[str, Any], keyed: bool) -> Fields:
    """The FieldsV1 set of a configuration."""
    owned = {key: value for key, value in config.items() if key not in ("apiVersion", "kind")}
    meta = {key: value for key, value in (owned.get("metadata") or {}).items() if key not in _SERVER_METADATA}
    owned["metadata"] = meta
    if not meta:
        del owned["metadata"]
    return _fields(owned, keyed)


def _fields(value: dict[str, Any], keyed: bool) -> Fields:
    fields: Fields = {}
    for key, item in value.items():
        fields[f"f:{key}"] = _field(key, item, keyed)
    return fields


def _field(key: str, item: Any, keyed: bool) -> Fields:
    if isinstance(item, dict) and item and not (keyed and key in ATOMIC_MAPS):
        return _fields(item, keyed)
    if isinstance(item, list):
        if key in PRIMITIVE_SETS:
            return {f"v:{json.dumps(entry)}": {} for entry in item}
        keys = merge_key_or_none(key, item, keyed)
        if keys:
            return {_item_name(entry, keys): {".": {}, **_fields(entry, keyed)} for entry in item}
    return {}


def merge_key_or_none(field: str, items: list[Any], keyed: bool) -> tuple[str, ...] | None:
    """The merge keys of a list, none in a custom resource (apart from its metadata)."""
    return merge_key(field, items) if keyed or field == "ownerReferences" else None


def _item_name(item: dict[str, Any], keys: tuple[str, ...]) -> str:
    return "k:" + json.dumps(dict(zip(keys, item_key(item, keys), strict=True)), sort_keys=True)


def _leaves(fields: Fields, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not fields:
        return [path] if path else []
    return [leaf for key, below in fields.items() for leaf in _leaves(below, (*path, key))]


def _owned(fields: Fields, path: tuple[str, ...]) -> bool:
    for part in path:
        if part not in fields:
            return False
        fields = fields[part]
    return True


def _upsert(live: Any, config: Any, field: str, keyed: bool) -> Any:
    if isinstance(config, dict) and isinstance(live, dict) and not (keyed and field in ATOMIC_MAPS):
        result = dict(live)
        for key, value in config.items():
            result[key] = _upsert(live.get(key), value, key, keyed)
        return result
    if isinstance(config, list) and isinstance(live, list):
        if field in PRIMITIVE_SETS:
            return live + [item for item in config if item not in live]
        keys = merge_key_or_none(field, config, keyed)
        if keys:
            return _upsert_items(live, config, keys, keyed)
    return copy.deepcopy(config)


def _upsert_items(live: list[Any], config: list[Any], keys: tuple[str, ...], keyed: bool) -> list[Any]:
    current = {item_key(item, keys): item for item in live}
    merged = {item_key(item, keys): _upsert(current.get(item_key(item, keys)), item, "", keyed) for item in config}
    # Applied items come in the applier's order, those of others stay behind them.
    return list(merged.values()) + [item for key, item in current.items() if key not in merged]


def _step(value: Any, part: str) -> Any:
    """One step of a FieldsV1 path into an object; None where it leads nowhere."""
    if part.startswith("f:"):
        return value.get(part[2:]) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    wanted = json.loads(part[2:])
    if part.startswith("v:"):
        return wanted if wanted in value else None
    keys = tuple(sorted(wanted))
    return next((i for i in value if isinstance(i, dict) and item_key(i, keys) == item_key(wanted, keys)), None)


def _value(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if part != ".":
            obj = _step(obj, part)
    return obj


def _settle_conflicts(
    live: dict[str, Any], config: dict[str, Any], wanted: Fields, others: list[dict[str, Any]], force: bool, keyed: bool
) -> None:
    conflicts = []
    for path in _leaves(wanted):
        value = _value(config, path)
        # An empty map or list asks for no value in it, so it agrees with whatever is there.
        if path[-1] == "." or value in ({}, []) or _value(live, path) == value:
            continue
        for entry in others:
            if not _owned(entry["fieldsV1"], path):
                continue
            if force:
                _disown(entry["fieldsV1"], path)
            else:
                conflicts.append((entry["manager"], ".".join(part[2:] for part in path)))
    if conflicts:
        texts = [f'conflict with "{manager}": .{path}' for manager, path in conflicts]
        message = f"Apply failed with {len(conflicts)} conflict{'s' if len(conflicts) > 1 else ''}: {', '.join(texts)}"
        causes = [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": f".{path}"}
            for manager, path in conflicts
        ]
        raise ApiError(409, message, details={"causes": causes})


def _disown(fields: Fields, path: tuple[str, ...]) -> None:
    if len(path) > 1:
        _disown(fields[path[0]], path[1:])
        if fields[path[0]]:
            return
    fields.pop(path[0], None)


def _prune(obj: Any, path: tuple[str, ...]) -> None:
    """Remove what a path leads to; copies nothing, so ``obj`` must be the caller's own down the path."""
    if path[-1] == ".":
        path = path[:-1]
    parent = _own_path(obj, path[:-1])
    part = path[-1]
    if parent is None:
        return
    if part.startswith("f:") and isinstance(parent, dict):
        parent.pop(part[2:], None)
    elif isinstance(parent, list):
        item = _step(parent, part)
        if item is not None:
            parent.remove(item)


def _own_path(obj: Any, path: tuple[str, ...]) -> Any:
    """Follow a path, replacing each part of it by a copy: merged results share parts with the live object."""
    for part in path:
        child = _step(obj, part)
        if not isinstance(child, (dict, list)):
            return None
        fresh = copy.copy(child)
        if isinstance(obj, dict):
            obj[part[2:]] = fresh
        else:
            obj[next(i for i, item in enumerate(obj) if item is child)] = fresh
        obj = fresh
    return obj
