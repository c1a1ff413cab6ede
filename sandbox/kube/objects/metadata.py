"""What an object's metadata may contain, and the forms of its labels, annotations, finalizers and owners."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.kube.objects.schema import ANY, BOOL, INT, NAME, STR, STR_MAP, List, Obj, Problems, Schema, quoted

_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WORD = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"
_QUALIFIED = re.compile(rf"^({_DOMAIN}/)?{_WORD}$")
_LABEL = re.compile(rf"^({_WORD})?$")
NOT_QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS domain and '/'"
)
NOT_A_LABEL = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"


@dataclass(frozen=True)
class Formed(Schema):
    """A schema, and a form that its value must have where it is of the right type."""

    schema: Schema
    form: Callable[[Any, str], Problems]

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        found = len(problems)
        value = self.schema.check(value, path, problems)
        if len(problems) == found:
            problems += self.form(value, path)
        return value


def _labels(value: dict[str, str], path: str) -> Problems:
    texts = [(text, NOT_A_LABEL) for text in value.values() if not _LABEL.match(text)]
    return _keys(value, path) + [(path, f"Invalid value: {quoted(text)}: {why}") for text, why in texts]


def _keys(value: dict[str, str], path: str) -> Problems:
    return [(path, f"Invalid value: {quoted(key)}: {NOT_QUALIFIED}") for key in value if not _QUALIFIED.match(key)]


def _finalizers(value: list[str], path: str) -> Problems:
    return [(path, f"Invalid value: {quoted(name)}: {NOT_QUALIFIED}") for name in value if not _QUALIFIED.match(name)]


def _owners(value: list[dict[str, Any]], path: str) -> Problems:
    # The paths name no item, as in Kubernetes.
    problems = [
        (f"{path}.{field}", f"Invalid value: {quoted('')}: must not be empty")
        for reference in value
        for field in ("apiVersion", "kind", "name", "uid")
        if not reference.get(field)
    ]
    controllers = [reference["name"] for reference in value if reference.get("controller")]
    if not problems and len(controllers) > 1:
        told = f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        problems.append((path, f"Invalid value: Only one reference can have Controller set to true. {told}"))
    return problems


_OWNER = Obj({"apiVersion": STR, "kind": STR, "name": STR, "uid": STR, "controller": BOOL, "blockOwnerDeletion": BOOL})
METADATA = Obj(
    {
        "name": NAME,
        "generateName": STR,
        "namespace": NAME,
        "labels": Formed(STR_MAP, _labels),
        "annotations": Formed(STR_MAP, _keys),
        "finalizers": Formed(List(STR), _finalizers),
        "ownerReferences": Formed(List(_OWNER, unique="uid"), _owners),
        "uid": STR,
        "resourceVersion": STR,
        "generation": INT,
        "creationTimestamp": STR,
        "deletionTimestamp": STR,
        "deletionGracePeriodSeconds": INT,
        "managedFields": ANY,
    }
)
