"""Reads what parts that must not import each other have written down, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRAINER = ROOT / "docker" / "trainer" / "trainer"
MODELS = ROOT / "model_repository"
SHARED = MODELS / "shared"
SERVER = SHARED / "model_server"
YOLO, CLASSIFIER = MODELS / "yolo" / "1", MODELS / "classifier" / "1"


def parsed(file: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def constant(file: Path, name: str) -> Any:
    """The value of a module's constant, or of a class's attribute `Class.name`.

    Raises:
        AssertionError: the file has none.
    """
    *owners, wanted = name.split(".")
    body = parsed(file).body
    for owner in owners:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == owner)
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == wanted:
                return ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == wanted:
                return ast.literal_eval(value)
    raise AssertionError(f"{file} has no constant {name}")


def literals(*places: Path) -> set[str]:
    """Every string in files, or in the modules of folders; of a string with fields, its fixed parts."""
    files = [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return {
        node.value
        for file in files
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def keys_written(file: Path, beside: str) -> set[str]:
    """Keys of the one dict in a module that has the key `beside`.

    Raises:
        AssertionError: there is none, or there are several.
    """
    found = [keys for keys in _dicts(file) if beside in keys]
    assert len(found) == 1, f"{file} has {len(found)} dicts with a key {beside!r}"
    return found[0]


def keys_read(file: Path, variable: str) -> set[str]:
    """Keys that a module reads of a variable: `variable["key"]`, `variable.get("key")`."""
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Subscript) and _is(node.value, variable):
            found |= _text(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            found |= _text(node.args[0]) if _is(node.func.value, variable) else set()
    return found


def imported(file: Path) -> Iterator[str]:
    """Modules that a module imports, wherever in it; and what it imports from them, which may be modules as well."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file} imports by a relative name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _dicts(file: Path) -> Iterator[set[str]]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Dict):
            yield {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def _is(node: ast.expr, variable: str) -> bool:
    return isinstance(node, ast.Name) and node.id == variable


def _text(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
