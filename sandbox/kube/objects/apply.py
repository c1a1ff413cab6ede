"""Server-side apply and field ownership: conflicts, the removal of fields given up, and whose a changed field is.

What the sandbox's own controllers write has no owner, so an applier takes it back without a conflict.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from sandbox.kube import clock
from sandbox.kube.errors import ApiError
from sandbox.kube.objects.fields import (
    ATOMIC_MAPS,
    Fields,
    Path,
    changed_fields,
    disown,
    fields_of,
    leaves,
    merge_key_or_none,
    owned,
    step,
    text_of,
    united,
    value_at,
)
from sandbox.kube.objects.patches import PRIMITIVE_SETS, item_key

Entry = dict[str, Any]
_EMPTY: tuple[Any, ...] = ({}, [])


def apply(
    live: dict[str, Any] | None, config: dict[str, Any], manager: str, force: bool, keyed: bool
) -> dict[str, Any]:
    """The object after ``manager`` applied ``config`` to ``live`` (None: it does not exist yet).

    ``keyed``: lists such as containers merge by key; False for custom resources, whose lists are atomic.
    Raises ApiError 409 naming the fields that somebody else owns with another value, unless ``force``.
    """
    if any("managedFields" in part for part in (config.get("metadata") or {},)):
        raise ApiError(400, "metadata.managedFields must be nil")
    _refuse_duplicates(config, "", keyed)
    wanted = fields_of(config, keyed)
    entries = copy.deepcopy((live or {}).get("metadata", {}).get("managedFields") or [])
    former = next((e for e in entries if (e["manager"], e["operation"]) == (manager, "Apply")), None)
    own: Fields = former["fieldsV1"] if former else {}
    others = [entry for entry in entries if entry is not former]
    base = live or {}
    _settle_conflicts(base, config, wanted, others, force)
    result = _upsert(base, config, "", keyed)
    for path in leaves(own):
        if not owned(wanted, path) and not _is_key(path) and not any(owned(e["fieldsV1"], path) for e in others):
            _prune(result, path)
    entry = _entry(manager, "Apply", config, wanted)
    if former and former["fieldsV1"] == wanted:
        entry["time"] = former["time"]
    result.setdefault("metadata", {})["managedFields"] = [entry, *(e for e in others if e["fieldsV1"])]
    return result


def record_update(former: dict[str, Any] | None, obj: dict[str, Any], manager: str, keyed: bool) -> list[Entry]:
    """The ``managedFields`` after ``manager`` wrote ``obj`` by POST, PUT or PATCH: what it changed is its own."""
    entries = copy.deepcopy((former or {}).get("metadata", {}).get("managedFields") or [])
    changed = changed_fields(former or {}, obj, keyed)
    now_changed = set(leaves(changed))
    own = next((e for e in entries if (e["manager"], e["operation"]) == (manager, "Update")), None)
    for entry in entries:
        for path in leaves(entry["fieldsV1"]):
            if value_at(obj, path) is None or (entry is not own and path in now_changed):
                disown(entry["fieldsV1"], path)
    if changed:
        fresh = _entry(manager, "Update", obj, united(own["fieldsV1"] if own else {}, changed))
        entries = [*(e for e in entries if e is not own), fresh]
    return [entry for entry in entries if entry["fieldsV1"]]


def _entry(manager: str, operation: str, obj: dict[str, Any], fields: Fields) -> Entry:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": obj.get("apiVersion", ""),
        "time": clock.now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _refuse_duplicates(value: Any, where: str, keyed: bool) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_duplicates(item, f"{where}.{key}", keyed)
    elif isinstance(value, list):
        field = where.rpartition(".")[2]
        keys = merge_key_or_none(field, value, keyed)
        seen = [item_key(item, keys) for item in value] if keys else []
        for number, item in enumerate(value):
            if keys and seen[number] in seen[:number]:
                name = ",".join(f'{key}="{part}"' for key, part in zip(keys, seen[number], strict=True))
                raise ApiError(500, f"failed to create typed patch object: {where}: duplicate entries for key [{name}]")
            _refuse_duplicates(item, f"{where}[{number}]", keyed)


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


def _settle_conflicts(
    live: dict[str, Any], config: dict[str, Any], wanted: Fields, others: list[Entry], force: bool
) -> None:
    conflicts: dict[str, list[str]] = {}
    for path in leaves(wanted):
        value = value_at(config, path)
        # An empty map or list asks for no value in it, so it agrees with whatever is there.
        if path[-1] == "." or value in _EMPTY or value_at(live, path) == value:
            continue
        for entry in others:
            if not owned(entry["fieldsV1"], path):
                continue
            if force:
                disown(entry["fieldsV1"], path)
            else:
                using = "" if entry["operation"] == "Apply" else f" using {entry['apiVersion']}"
                conflicts.setdefault(f'"{entry["manager"]}"{using}', []).append(text_of(path))
    if conflicts:
        raise _conflict(conflicts)


def _conflict(conflicts: dict[str, list[str]]) -> ApiError:
    texts = [
        f"conflict with {who}: {paths[0]}" if len(paths) == 1 else "\n- ".join([f"conflicts with {who}:", *paths])
        for who, paths in conflicts.items()
    ]
    count = sum(len(paths) for paths in conflicts.values())
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who, paths in conflicts.items()
        for path in paths
    ]
    message = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: " + "\n".join(texts)
    return ApiError(409, message, details={"causes": causes})


def _is_key(path: Path) -> bool:
    """Whether a path leads to what identifies an item, which goes with the whole item alone."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in json.loads(path[-2][2:])


def _prune(obj: Any, path: Path) -> None:
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
        item = step(parent, part)
        if item is not None:
            parent.remove(item)


def _own_path(obj: Any, path: Path) -> Any:
    """Follow a path, replacing each part of it by a copy: merged results share parts with the live object."""
    for part in path:
        child = step(obj, part)
        if not isinstance(child, (dict, list)):
            return None
        fresh = copy.copy(child)
        if isinstance(obj, dict):
            obj[part[2:]] = fresh
        else:
            obj[next(i for i, item in enumerate(obj) if item is child)] = fresh
        obj = fresh
    return obj
