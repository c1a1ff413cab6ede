"""Objects of KServe against the types of its SDK, to the last field; what is Kubernetes' own, against its client's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes.client.models as kubernetes_models

KINDS = {
    ("serving.kserve.io/v1beta1", "InferenceService"): "V1beta1InferenceService",
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): "V1alpha1ServingRuntime",
    ("serving.kserve.io/v1alpha1", "TrainedModel"): "V1alpha1TrainedModel",
}
# The SDK's generator has its own names for these.
ALIASES = {"K8sIoApiAppsV1DeploymentStrategy": "V1DeploymentStrategy"}
SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "ResourceQuantity": (str, int, float),
    "object": (object,),
    "IntOrString": (str, int),
}


class Type(NamedTuple):
    """A type's fields by their keys in JSON, and which of them have to be there."""

    fields: dict[str, str]
    required: set[str]


def problems(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """What is wrong with an object: unknown fields, wrong types, what is missing."""
    name = KINDS.get((manifest["apiVersion"], manifest["kind"]))
    if name is None:
        return [f"{manifest['apiVersion']} {manifest['kind']} is no kind of KServe"]
    return list(_check(folder, name, manifest, ""))


def _check(folder: Path, wanted: str, value: Any, at: str) -> Iterator[str]:
    if match := re.fullmatch(r"list\[(.+)\]", wanted):
        if not isinstance(value, list):
            yield f"{at}: a list is expected"
            return
        for number, each in enumerate(value):
            yield from _check(folder, match[1], each, f"{at}[{number}]")
    elif match := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", wanted):
        if not isinstance(value, dict):
            yield f"{at}: a mapping is expected"
            return
        for key, each in value.items():
            yield from _check(folder, match[1], each, f"{at}.{key}")
    elif wanted in SCALARS:
        wrong = isinstance(value, bool) and wanted != "bool" and wanted != "object"
        if wrong or not isinstance(value, SCALARS[wanted]):
            yield f"{at}: {value!r} is no {wanted}"
    else:
        yield from _fields(folder, wanted, value, at)


def _fields(folder: Path, wanted: str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: a mapping is expected"
        return
    known = _type(folder, ALIASES.get(wanted, wanted))
    yield from (f"{at}.{key}: missing" for key in sorted(known.required - value.keys()))
    for key, each in value.items():
        if key not in known.fields:
            yield f"{at}.{key}: unknown field"
        else:
            yield from _check(folder, known.fields[key], each, f"{at}.{key}")


@cache
def _type(folder: Path, name: str) -> Type:
    file = folder / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()}.py"
    if file.exists():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        return _read(next(node for node in tree.body if isinstance(node, ast.ClassDef)))
    model = getattr(kubernetes_models, name)
    fields = {model.attribute_map[key]: kind for key, kind in model.openapi_types.items()}
    if name == "V1ResourceRequirements":
        fields |= dict.fromkeys(("limits", "requests"), "dict(str, ResourceQuantity)")
    # Which fields are needed the client tells only by refusing: what matters here are those of containers and ports.
    return Type({key: _plain(kind) for key, kind in fields.items()}, set())


def _plain(kind: str) -> str:
    return "object" if kind == "datetime" else kind


def _read(model: ast.ClassDef) -> Type:
    """A model's class as the generator writes it; a setter that refuses None is of a field that has to be there."""
    tables = {
        target.id: ast.literal_eval(node.value)
        for node in model.body
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
    }
    keys = tables["attribute_map"]
    required = set()
    for node in model.body:
        if isinstance(node, ast.FunctionDef) and "must not be `None`" in ast.unparse(node):
            required.add(keys[node.name])
    fields = {keys[name]: _plain(kind) for name, kind in tables["openapi_types"].items()}
    return Type(fields, required)
