"""Reads the few protobuf bodies that kubectl sends: ``kubectl create secret|configmap|namespace|serviceaccount``.

kubectl writes these in protobuf whatever the server says it understands. Everything else that it sends is JSON or YAML.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from sandbox.kube.errors import ApiError

_MAGIC = b"k8s\x00"
# Field number → (name, how to read it), from the .proto files of k8s.io/api and k8s.io/apimachinery.
_META = {
    1: ("name", "text"), 2: ("generateName", "text"), 3: ("namespace", "text"), 11: ("labels", "texts"),
    12: ("annotations", "texts"), 14: ("finalizers", "list"), 17: ("managedFields", "skip"),
}  # fmt: skip
_KINDS: dict[str, dict[int, tuple[str, str]]] = {
    "Secret": {2: ("data", "bytes"), 3: ("type", "text"), 4: ("stringData", "texts")},
    "ConfigMap": {2: ("data", "texts"), 3: ("binaryData", "bytes")},
    "Namespace": {2: ("spec", "skip"), 3: ("status", "skip")},
    "ServiceAccount": {},
}


def decode(raw: bytes) -> dict[str, Any]:
    """The object in a body of ``application/vnd.kubernetes.protobuf``. Raises ApiError 415 for other kinds."""
    if not raw.startswith(_MAGIC):
        raise ApiError(400, "the body is not what its Content-Type says: Kubernetes' protobuf begins with k8s\\0")
    envelope = dict(_fields(raw[len(_MAGIC) :]))
    identity = dict(_fields(_bytes(envelope.get(1, b""))))
    version, kind = _bytes(identity.get(1, b"")).decode(), _bytes(identity.get(2, b"")).decode()
    if version != "v1" or kind not in _KINDS:
        raise ApiError(
            415, f"protobuf is not supported here for {version} {kind}; send JSON or YAML (kubectl apply -f)"
        )
    obj: dict[str, Any] = {"apiVersion": version, "kind": kind}
    for number, value in _fields(_bytes(envelope.get(2, b""))):
        if number == 1:
            obj["metadata"] = _message(_bytes(value), _META, f"{kind}.metadata")
        else:
            _set(obj, number, value, _KINDS[kind], kind)
    return obj


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ApiError(400, "the protobuf body cannot be read: a number stands where a message is expected")
    return value


def _message(raw: bytes, table: dict[int, tuple[str, str]], path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for number, value in _fields(raw):
        _set(result, number, value, table, path)
    return result


def _set(result: dict[str, Any], number: int, value: int | bytes, table: dict[int, tuple[str, str]], path: str) -> None:
    if number not in table:
        # Go writes empty fields too; only one with something in it asks for something.
        if value not in (0, b""):
            raise ApiError(422, f"{path}: field number {number} is not supported in protobuf; use kubectl apply -f")
        return
    name, how = table[number]
    if how == "text" and value:
        result[name] = _bytes(value).decode()
    elif how == "list":
        result.setdefault(name, []).append(_bytes(value).decode())
    elif how in ("texts", "bytes"):
        entry = dict(_fields(_bytes(value)))
        content = _bytes(entry.get(2, b""))
        text = content.decode() if how == "texts" else base64.b64encode(content).decode()
        result.setdefault(name, {})[_bytes(entry[1]).decode()] = text


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) pairs of a message."""
    position = 0
    try:
        while position < len(raw):
            tag, position = _varint(raw, position)
            if tag & 7 == 0:
                value, position = _varint(raw, position)
                yield tag >> 3, value
            elif tag & 7 == 2:
                length, position = _varint(raw, position)
                yield tag >> 3, raw[position : position + length]
                position += length
            else:
                raise ApiError(400, f"the protobuf body cannot be read: wire type {tag & 7}")
    except IndexError as error:
        raise ApiError(400, "the protobuf body ends too early") from error


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
