"""A small language for what a manifest may contain, and the check that names the path of everything else."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.kube.objects.quantities import FORM, canonical

Problems = list[tuple[str, str]]
# What is said of a value of the wrong type: no object can be made of such a body.
WRONG_TYPE = "must be of type"
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")


def quoted(value: Any) -> str:
    """A value as Kubernetes' messages show it."""
    return json.dumps(value)


class Schema(ABC):
    """Checks a value and returns it without empty unsupported fields."""

    @abstractmethod
    def check(self, value: Any, path: str, problems: Problems) -> Any:
        """Append (path, text) to ``problems`` for what is wrong with ``value``."""

    def children(self) -> Iterator[tuple[str, Schema]]:
        """(path suffix, schema) of what is below, for the documentation's table."""
        return iter(())


@dataclass(frozen=True)
class Leaf(Schema):
    """A scalar of certain types, optionally one of ``values`` or within a range or a pattern."""

    types: tuple[type, ...]
    values: tuple[Any, ...] = ()
    least: int | None = None
    most: int | None = None
    pattern: re.Pattern[str] | None = None

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            names = " or ".join(kind.__name__ for kind in self.types)
            problems.append((path, f"Invalid value: {quoted(value)}: {WRONG_TYPE} {names}"))
        elif self.values and value not in self.values:
            supported = ", ".join(f'"{item}"' for item in self.values)
            problems.append((path, f"Unsupported value: {quoted(value)}: supported values here: {supported}"))
        elif isinstance(value, int) and self.least is not None and value < self.least:
            problems.append((path, f"Invalid value: {value}: must be greater than or equal to {self.least}"))
        elif isinstance(value, int) and self.most is not None and value > self.most:
            problems.append((path, f"Invalid value: {value}: must be less than or equal to {self.most}"))
        elif isinstance(value, str) and self.pattern and not self.pattern.match(value):
            problems.append((path, f"Invalid value: {quoted(value)}: must match {self.pattern.pattern}"))
        return value


class Anything(Schema):
    """Any value at all."""

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        return value


@dataclass(frozen=True)
class Map(Schema):
    """An object with free keys and values of one schema."""

    value: Schema

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            problems.append((path, f"Invalid value: {quoted(value)}: {WRONG_TYPE} object"))
            return value
        return {key: self.value.check(item, f"{path}[{key}]", problems) for key, item in value.items()}

    def children(self) -> Iterator[tuple[str, Schema]]:
        yield "", self.value


@dataclass(frozen=True)
class List(Schema):
    """A list of one schema; ``unique`` names the field that two items must not share."""

    item: Schema
    unique: str = ""
    least: int = 0

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            problems.append((path, f"Invalid value: {quoted(value)}: {WRONG_TYPE} list"))
            return value
        if len(value) < self.least:
            problems.append((path, "Required value"))
        seen: set[Any] = set()
        for index, item in enumerate(value):
            name = item.get(self.unique) if self.unique and isinstance(item, dict) else None
            if name is not None and name in seen:
                problems.append((f"{path}[{index}].{self.unique}", f"Duplicate value: {quoted(name)}"))
            seen.add(name)
        return [self.item.check(item, f"{path}[{index}]", problems) for index, item in enumerate(value)]

    def children(self) -> Iterator[tuple[str, Schema]]:
        yield "[]", self.item


@dataclass(frozen=True)
class Inert(Schema):
    """Accepted and checked, but nothing acts on it; ``why`` says so in the documentation."""

    schema: Schema
    why: str = ""

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        return self.schema.check(value, path, problems)


@dataclass(frozen=True)
class Obj(Schema):
    """An object with known fields. ``refused`` gives a hint for fields that people will try.

    ``one_of``: exactly one of these fields must be set.
    """

    fields: dict[str, Schema]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            problems.append((path, f"Invalid value: {quoted(value)}: {WRONG_TYPE} object"))
            return value
        result = {}
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            known = self.fields.get(key)
            if item is None:
                continue
            if known is not None:
                result[key] = known.check(item, where, problems)
            elif item not in ({}, [], "", False):
                # An empty value asks for nothing, and clients that serialise whole objects send many of them.
                hint = self.refused.get(key, "see sandbox/kube/README.md for what is")
                problems.append((where, f"Forbidden: not supported by the sandbox's Kubernetes; {hint}"))
        for key in self.required:
            if result.get(key) in (None, ""):
                problems.append((f"{path}.{key}" if path else key, "Required value"))
        if self.one_of and sum(key in result for key in self.one_of) != 1:
            problems.append((path, f"Required value: exactly one of {', '.join(self.one_of)}"))
        return result

    def children(self) -> Iterator[tuple[str, Schema]]:
        for key, schema in self.fields.items():
            yield f".{key}", schema


def inert_paths(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Every (path, why) below a schema that is accepted without effect."""
    if isinstance(schema, Inert):
        yield path, schema.why
        return
    for suffix, child in schema.children():
        yield from inert_paths(child, path + suffix)


STR = Leaf((str,))
NAME = Leaf((str,), pattern=_NAME)
INT = Leaf((int,))
COUNT = Leaf((int,), least=0)
POSITIVE = Leaf((int,), least=1)
PORT = Leaf((int,), least=1, most=65535)
BOOL = Leaf((bool,))
INT_OR_STR = Leaf((int, str))
QUANTITY_TEXT = Leaf((str,), pattern=FORM)
ANY = Anything()


class Quantity(Schema):
    """A Kubernetes quantity: a number or text such as ``500m`` or ``2Gi``."""

    def check(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            problems.append((path, f"Invalid value: {quoted(value)}: {WRONG_TYPE} quantity"))
            return value
        found = len(problems)
        QUANTITY_TEXT.check(str(value), path, problems)
        return canonical(str(value)) if len(problems) == found else value


QUANTITY = Quantity()
STR_MAP = Map(STR)


def one(*values: Any) -> Leaf:
    """A scalar that must be one of ``values``."""
    return Leaf(tuple({type(value) for value in values}), values=values)
