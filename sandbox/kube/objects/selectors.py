"""Label and field selectors, from query strings and from objects."""

from __future__ import annotations

import re
from typing import Any

from sandbox.kube.errors import ApiError
from sandbox.kube.objects.kinds import EVENT, NAMESPACE, POD, REPLICA_SET, SECRET, Kind

Requirement = tuple[str, str, tuple[str, ...]]
_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\(\s*(?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_KEY = re.compile(r"^(?P<not>!?)\s*(?P<key>[A-Za-z0-9][-A-Za-z0-9_./]*)$")
_FIELDS = {
    NAMESPACE: {"status.phase"},
    POD: {
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    },
    REPLICA_SET: {"status.replicas"},
    SECRET: {"type"},
    EVENT: {
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    },
}  # fmt: skip


def parse_labels(text: str) -> list[Requirement]:
    """``a=b,c!=d,e,!f,g in (h,i)`` as (key, operator, values). Raises ApiError 400."""
    requirements: list[Requirement] = []
    for part in re.split(r",(?![^(]*\))", text):
        part = part.strip()
        if not part:
            continue
        if found := _SET.match(part):
            values = tuple(value.strip() for value in found["values"].split(","))
            requirements.append((found["key"], found["op"], values))
        elif found := _EQUAL.match(part):
            requirements.append((found["key"], "notin" if found["op"] == "!=" else "in", (found["value"],)))
        elif found := _KEY.match(part):
            requirements.append((found["key"], "absent" if found["not"] else "exists", ()))
        else:
            raise ApiError(400, f"unable to parse requirement {part!r} of the label selector {text!r}")
    return requirements


def labels_match(requirements: list[Requirement], labels: dict[str, str] | None) -> bool:
    """Whether labels meet every requirement. As in Kubernetes, ``!=`` and ``notin`` hold for an absent key."""
    labels = labels or {}
    for key, operator, values in requirements:
        present = key in labels
        if operator == "in" and (not present or labels[key] not in values):
            return False
        if operator == "notin" and present and labels[key] in values:
            return False
        if operator == "exists" and not present:
            return False
        if operator == "absent" and present:
            return False
    return True


def from_object(selector: dict[str, Any] | None) -> list[Requirement]:
    """A ``LabelSelector`` object (matchLabels, matchExpressions) as requirements."""
    selector = selector or {}
    requirements: list[Requirement] = [(k, "in", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    for expression in selector.get("matchExpressions") or []:
        requirements.append((expression["key"], names[expression["operator"]], tuple(expression.get("values") or ())))
    return requirements


def parse_fields(kind: Kind, text: str) -> list[tuple[str, bool, str]]:
    """``a.b=c,d!=e`` as (path, wanted equal, value). Raises ApiError 400 for a field that cannot be selected by."""
    allowed = {"metadata.name", "metadata.namespace"} | _FIELDS.get(kind, set())
    parsed = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _EQUAL.match(part)
        if not found:
            raise ApiError(400, f"invalid field selector: {part!r}")
        if found["key"] not in allowed:
            raise ApiError(400, f'"{found["key"]}" is not a known field selector of {kind.plural}')
        parsed.append((found["key"], found["op"] != "!=", found["value"]))
    return parsed


def fields_match(fields: list[tuple[str, bool, str]], obj: dict[str, Any]) -> bool:
    """Whether an object meets every field requirement."""
    return all((_value(obj, path) == value) == equal for path, equal, value in fields)


def _value(obj: dict[str, Any], path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path == "source" and isinstance(value, dict):
        value = value.get("component")
    return "" if value is None else str(value)
