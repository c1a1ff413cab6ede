"""Both models keep a copy of the code that keeps freed memory: to Triton each is a separate folder."""

from __future__ import annotations

import ast

from tests.contracts.sources import ENCODED, SERVER, parsed


def without_docstrings(tree: ast.Module) -> str:
    """The code; what a docstring says differs, because one is about tensors and the other about pictures."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def test_the_copies_are_the_same_code() -> None:
    copies = SERVER / "memory.py", ENCODED / "encoded_images/memory.py"
    first, second = (without_docstrings(parsed(copy)) for copy in copies)
    assert first == second
