"""Sets of fields as ``metadata.managedFields`` writes them (FieldsV1): what is applied, and what a write changed."""

from __future__ import annotations

import json
from typing import Any

from sandbox.kube.objects.patches import PRIMITIVE_SETS, item_key, merge_key

Fields = dict[str, Any]
Path = tuple[str, ...]
# Maps that have one owner as a whole (`x-kubernetes-map-type: atomic`).
ATOMIC_MAPS = (
    "selector", "labelSelector", "podSelector", "namespaceSelector", "nodeSelector", "secretKeyRef", "configMapKeyRef",
    "fieldRef", "roleRef",
)  # fmt: skip
# Lists whose items are such maps, and those that an apply merges by other keys than a strategic merge patch.
_ATOMIC_ITEMS = ("imagePullSecrets", "secrets")
_APPLY_KEYS = {"topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable")}
_SERVER_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
    "generateName", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_MISSING: Any = object()


def fields_of(config: dict[str, Any], keyed: bool) -> Fields:
    """The fields of a configuration. ``keyed``: see `sandbox.kube.objects.apply.apply`."""
    return _fields(_ownable(config), keyed)


def _ownable(obj: dict[str, Any]) -> dict[str, Any]:
    owned = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _SERVER_METADATA}
    return {**owned, "metadata": meta} if meta else owned


def _fields(value: dict[str, Any], keyed: bool) -> Fields:
    return {f"f:{key}": _field(key, item, keyed) for key, item in value.items()}


def _field(key: str, item: Any, keyed: bool) -> Fields:
    if isinstance(item, dict) and item and not (keyed and key in ATOMIC_MAPS):
        return _fields(item, keyed)
    if isinstance(item, list):
        if key in PRIMITIVE_SETS:
            return {f"v:{json.dumps(entry)}": {} for entry in item}
        keys = merge_key_or_none(key, item, keyed)
        if keys:
            if key in _ATOMIC_ITEMS:
                return {item_name(entry, keys): {} for entry in item}
            return {item_name(entry, keys): {".": {}, **_fields(entry, keyed)} for entry in item}
    return {}


def changed_fields(former: dict[str, Any], obj: dict[str, Any], keyed: bool) -> Fields:
    """The fields that a write added or gave another value; those that it removed are not among them."""
    return _changed("", _ownable(former), _ownable(obj), keyed) or {}


def _changed(key: str, old: Any, new: Any, keyed: bool) -> Fields | None:
    """None: nothing changed. A map or keyed list that is new is owned itself, too (``.``)."""
    atomic = keyed and key in ATOMIC_MAPS
    if isinstance(new, dict) and new and not atomic and (old is _MISSING or isinstance(old, dict)):
        parts = {f"f:{name}": (name, item) for name, item in new.items()}
        before = {} if old is _MISSING else {f"f:{name}": item for name, item in old.items()}
        # What is at the top of an object has always been there.
        return _parts(parts, before, {".": {}} if old is _MISSING and key else {}, keyed)
    if isinstance(new, list) and (old is _MISSING or isinstance(old, list)):
        present = [] if old is _MISSING else old
        if key in PRIMITIVE_SETS:
            return {f"v:{json.dumps(item)}": {} for item in new if item not in present} or None
        keys = merge_key_or_none(key, new, keyed)
        if keys:
            before = {item_name(item, keys): item for item in present if isinstance(item, dict)}
            if key in _ATOMIC_ITEMS:
                return {item_name(item, keys): {} for item in new if before.get(item_name(item, keys)) != item} or None
            return _parts({item_name(item, keys): ("[]", item) for item in new}, before, {}, keyed)
    return None if old == new else {}


def _parts(parts: dict[str, tuple[str, Any]], before: dict[str, Any], fields: Fields, keyed: bool) -> Fields | None:
    for name, (key, item) in parts.items():
        below = _changed(key, before.get(name, _MISSING), item, keyed)
        if below is not None:
            fields[name] = below
    return fields or None


def merge_key_or_none(field: str, items: list[Any], keyed: bool) -> tuple[str, ...] | None:
    """The merge keys of a list, none in a custom resource (apart from its metadata)."""
    if not keyed and field != "ownerReferences":
        return None
    keys = _APPLY_KEYS.get(field)
    if keys and items and all(isinstance(item, dict) and key in item for item in items for key in keys):
        return keys
    return merge_key(field, items)


def item_name(item: dict[str, Any], keys: tuple[str, ...]) -> str:
    """A keyed list's item in a set of fields."""
    found = dict(zip(keys, item_key(item, keys), strict=True))
    return "k:" + json.dumps(found, sort_keys=True, separators=(",", ":"))


def leaves(fields: Fields, path: Path = ()) -> list[Path]:
    """The paths in a set, down to where it ends."""
    if not fields:
        return [path] if path else []
    return [leaf for key, below in fields.items() for leaf in leaves(below, (*path, key))]


def owned(fields: Fields, path: Path) -> bool:
    """Whether a set holds a path; an item or map itself (``.``) is held by whoever owns anything in it."""
    for part in path[:-1] if path[-1] == "." else path:
        if part not in fields:
            return False
        fields = fields[part]
    return True


def disown(fields: Fields, path: Path) -> None:
    """Take a path out of a set, and what has nothing left below it."""
    if len(path) > 1:
        disown(fields[path[0]], path[1:])
        if fields[path[0]]:
            return
    fields.pop(path[0], None)


def united(one: Fields, other: Fields) -> Fields:
    """Both sets in one."""
    result = dict(one)
    for key, below in other.items():
        result[key] = united(result.get(key, {}), below)
    return result


def step(value: Any, part: str) -> Any:
    """One step of a path into an object; None where it leads nowhere."""
    if part.startswith("f:"):
        return value.get(part[2:]) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    wanted = json.loads(part[2:])
    if part.startswith("v:"):
        return wanted if wanted in value else None
    keys = tuple(sorted(wanted))
    return next((i for i in value if isinstance(i, dict) and item_key(i, keys) == item_key(wanted, keys)), None)


def value_at(obj: Any, path: Path) -> Any:
    """What a path leads to; None where it leads nowhere."""
    for part in path:
        if part != ".":
            obj = step(obj, part)
    return obj


def text_of(path: Path) -> str:
    """A path in the words of a real API server: ``.spec.containers[name="main"].image``."""
    return "".join(_text(part) for part in path if part != ".")


def _text(part: str) -> str:
    if part.startswith("f:"):
        return f".{part[2:]}"
    if part.startswith("v:"):
        return f"[={part[2:]}]"
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(json.loads(part[2:]).items())) + "]"
