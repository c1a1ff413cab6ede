"""What happens to an object between a request and the store: validation, defaults, and what may not change."""

from __future__ import annotations

import copy
import re
import secrets
from typing import Any

from sandbox.kube.errors import ApiError, invalid
from sandbox.kube.objects import kinds
from sandbox.kube.objects.defaults import fill_in
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.manifests import SCHEMAS
from sandbox.kube.objects.metadata import METADATA
from sandbox.kube.objects.podspec import POD_SPEC
from sandbox.kube.objects.quantities import amount
from sandbox.kube.objects.schema import WRONG_TYPE, Problems, quoted
from sandbox.kube.objects.selectors import from_object, labels_match

Object = dict[str, Any]
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def random_suffix(length: int = 5) -> str:
    """What Kubernetes appends to a ``generateName``."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def admit(kind: Kind, obj: Object, former: Object | None) -> Object:
    """The object as it will be stored. Raises ApiError 422 naming every field path that is wrong or unsupported."""
    obj = copy.deepcopy(obj)
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    meta = obj.setdefault("metadata", {})
    if former is None and not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + random_suffix()
    problems: Problems = []
    if kind in SCHEMAS:
        obj = SCHEMAS[kind].check(obj, "", problems)
    else:
        obj["metadata"] = METADATA.check(meta, "metadata", problems)
    name = str(meta.get("name") or "")
    if not name:
        problems.append(("metadata.name", "Required value: name or generateName is required"))
    if not problems:
        fill_in(kind, obj)
        problems += _relations(kind, obj)
        if former is not None:
            problems += _immutable(kind, obj, former)
    if problems:
        raise unreadable(kind, problems) or invalid(kind.kind, kind.group, name, problems)
    return obj


def unreadable(kind: Kind, problems: Problems) -> ApiError | None:
    """400, where a value is of another type than the field: then no object can be made of the body."""
    texts = [f"{path}: {text}" for path, text in problems if WRONG_TYPE in text]
    if not texts:
        return None
    return ApiError(
        400, f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {", ".join(texts)}'
    )


def _relations(kind: Kind, obj: Object) -> Problems:
    if kind == kinds.POD:
        return _pod_relations(obj["spec"], "spec")
    if kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET):
        spec = obj["spec"]
        problems = _pod_relations(spec["template"]["spec"], "spec.template.spec")
        selector = from_object(spec["selector"])
        labels = (spec["template"].get("metadata") or {}).get("labels")
        if not selector:
            problems.append(("spec.selector", "Invalid value: empty selector is invalid"))
        elif not labels_match(selector, labels):
            text = f"Invalid value: {labels}: `selector` does not match template `labels`"
            problems.append(("spec.template.metadata.labels", text))
        if spec["template"]["spec"]["restartPolicy"] != "Always":
            problems.append(("spec.template.spec.restartPolicy", 'Unsupported value: supported values: "Always"'))
        if kind == kinds.DEPLOYMENT:
            problems += _strategy_relations(spec["strategy"])
        return problems
    if kind == kinds.CLAIM and not obj["spec"].get("resources", {}).get("requests", {}).get("storage"):
        return [("spec.resources[storage]", "Required value")]
    if kind in (kinds.CONFIG_MAP, kinds.SECRET):
        return [
            (
                f"data[{key}]",
                f"Invalid value: {quoted(key)}: a valid config key must consist of alphanumeric characters",
            )
            for key in obj.get("data", {})
            if not _DATA_KEY.match(key)
        ]
    if kind == kinds.SERVICE:
        ports = obj["spec"]["ports"]
        if obj["spec"].get("clusterIP") == "None":
            text = "Forbidden: not supported by the sandbox's Kubernetes; a headless service needs cluster DNS"
            return [("spec.clusterIP", text)]
        if len(ports) > 1:
            return [(f"spec.ports[{i}].name", "Required value") for i, port in enumerate(ports) if "name" not in port]
    return []


def _strategy_relations(strategy: Object) -> Problems:
    path = "spec.strategy.rollingUpdate"
    if strategy["type"] == "Recreate":
        return [(path, "Forbidden: may not be specified when strategy `type` is 'Recreate'")] * (
            "rollingUpdate" in strategy
        )
    problems: Problems = []
    for field, value in strategy["rollingUpdate"].items():
        number = value.removesuffix("%") if isinstance(value, str) else str(value)
        if not number.isdigit() or (isinstance(value, str) and not value.endswith("%")):
            problems.append((f"{path}.{field}", f"Invalid value: {quoted(value)}: must be a count or a percentage"))
    if not problems and all(str(value) in ("0", "0%") for value in strategy["rollingUpdate"].values()):
        problems.append((f"{path}.maxUnavailable", "Invalid value: may not be 0 when `maxSurge` is 0"))
    return problems


def _pod_relations(spec: Object, path: str) -> Problems:
    problems: Problems = []
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for index, volume in enumerate(spec.get("volumes", [])):
        if len(volume) == 1:
            # Kubernetes reads a volume without a source as an emptyDir.
            volume["emptyDir"] = {}
        elif len(volume) > 2:
            problems.append((f"{path}.volumes[{index}]", "Forbidden: may not specify more than 1 volume type"))
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group, [])):
            where = f"{path}.{group}[{index}]"
            if container["name"] in names:
                problems.append((f"{where}.name", f"Duplicate value: {quoted(container['name'])}"))
            names.add(container["name"])
            problems += _container_relations(container, where, volumes)
    return problems


def _container_relations(container: Object, where: str, volumes: set[str]) -> Problems:
    problems: Problems = []
    places: set[str] = set()
    for number, mount in enumerate(container.get("volumeMounts", [])):
        at = f"{where}.volumeMounts[{number}]"
        if mount["mountPath"] in places:
            problems.append((f"{at}.mountPath", f"Invalid value: {quoted(mount['mountPath'])}: must be unique"))
        places.add(mount["mountPath"])
        if mount["name"] not in volumes:
            problems.append((f"{at}.name", f"Not found: {quoted(mount['name'])}"))
        if not mount["mountPath"].startswith("/") or mount["mountPath"].strip("/") == "":
            problems.append(
                (f"{at}.mountPath", f"Invalid value: {quoted(mount['mountPath'])}: must be absolute, and not /")
            )
        if ".." in mount.get("subPath", "").split("/") or mount.get("subPath", "").startswith("/"):
            problems.append((f"{at}.subPath", "Invalid value: must be relative, without '..'"))
    for number, env in enumerate(container.get("env", [])):
        if "value" in env and env["value"] and "valueFrom" in env:
            text = 'Invalid value: "": may not be specified when `value` is not empty'
            problems.append((f"{where}.env[{number}].valueFrom", text))
    problems += _resources(container.get("resources", {}), where)
    ports = {port.get("name") for port in container.get("ports", [])}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        for action in ("httpGet", "tcpSocket"):
            port = container.get(probe, {}).get(action, {}).get("port")
            if isinstance(port, str) and port not in ports:
                problems.append(
                    (f"{where}.{probe}.{action}.port", f"Invalid value: {quoted(port)}: no port of that name")
                )
        if probe != "readinessProbe" and container.get(probe, {}).get("successThreshold", 1) != 1:
            problems.append((f"{where}.{probe}.successThreshold", "Invalid value: must be 1"))
    return problems


def _resources(resources: Object, where: str) -> Problems:
    limits, path = resources.get("limits", {}), f"{where}.resources.requests"
    return [
        (path, f"Invalid value: {quoted(asked)}: must be less than or equal to {name} limit of {limits[name]}")
        for name, asked in resources.get("requests", {}).items()
        if name in limits and amount(asked) > amount(limits[name])
    ]


def _immutable(kind: Kind, obj: Object, former: Object) -> Problems:
    def changed(*path: str) -> bool:
        new, old = obj, former
        for part in path:
            new, old = new.get(part, {}), old.get(part, {})
        return new != old

    if kind == kinds.POD and changed("spec"):
        fields = sorted(key for key in POD_SPEC.fields if changed("spec", key))
        return [("spec", f"Forbidden: pod updates may not change fields here; changed: {', '.join(fields)}")]
    if kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET) and changed("spec", "selector"):
        return [("spec.selector", f"Invalid value: {obj['spec']['selector']}: field is immutable")]
    if kind == kinds.SERVICE and obj["spec"].get("clusterIP") and changed("spec", "clusterIP"):
        return [("spec.clusterIP", f"Invalid value: {quoted(obj['spec']['clusterIP'])}: field is immutable")]
    if kind == kinds.CLAIM and (changed("spec", "accessModes") or changed("spec", "volumeName")):
        return [("spec", "Forbidden: spec is immutable after creation except resources.requests")]
    return []


def check_body(kind: Kind, body: Any, namespace: str, name: str | None) -> Object:
    """A request's body against its URL. Fills in namespace and name. Raises ApiError 400."""
    if not isinstance(body, dict):
        raise ApiError(400, f"the body must be a {kind.kind} object")
    if body.get("kind") not in (None, kind.kind) or body.get("apiVersion") not in (None, kind.api_version):
        told = f"{body.get('apiVersion')} {body.get('kind')}"
        raise ApiError(400, f"the body is {told}, but the URL is for {kind.api_version} {kind.kind}")
    body = dict(body)
    meta = body["metadata"] = dict(body.get("metadata") or {})
    if kind.namespaced:
        if meta.get("namespace") not in (None, "", namespace):
            raise ApiError(
                400, f"the namespace of the object ({meta['namespace']}) is not that of the URL ({namespace})"
            )
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    if name is not None:
        if meta.get("name") not in (None, "", name):
            raise ApiError(400, f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        meta["name"] = name
    return body
