"""The three kinds of pattern that Argo CD uses, each with its own rules."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

from sandbox.argocd.errors import UnsupportedError


def git_files(pattern: str, paths: list[str]) -> list[str]:
    """What the git file generator finds: by default a git pathspec, in which ``*`` also matches ``/``.

    Raises:
        UnsupportedError: braces, which only the generator's "new globbing" (off by default) understands.
    """
    if "{" in pattern or "}" in pattern:
        raise UnsupportedError(
            f"The git file generator's path {pattern!r} has braces. Argo CD's default globbing does not know them: "
            "list several `files` entries instead."
        )
    if not any(sign in pattern for sign in "*?["):
        return [path for path in paths if path == pattern or path.startswith(pattern.rstrip("/") + "/")]
    return [path for path in paths if fnmatch.fnmatchcase(path, pattern)]


def allows(patterns: list[str], value: str) -> bool:
    """An AppProject's list: some pattern matches, and none of those that start with ``!``."""
    denied = any(fnmatch.fnmatchcase(value, p[1:]) for p in patterns if p.startswith("!"))
    return not denied and any(fnmatch.fnmatchcase(value, p) for p in patterns if not p.startswith("!"))


@lru_cache
def directory(pattern: str) -> re.Pattern[str]:
    """``directory.include`` and ``exclude``: ``*`` matches anything, ``{a,b}`` one of the alternatives.

    Raises:
        UnsupportedError: the braces do not pair.
    """
    result, depth = "", 0
    for sign in pattern:
        if sign == "{":
            depth, result = depth + 1, result + "(?:"
        elif sign == "}":
            depth, result = depth - 1, result + ")"
        elif sign == "," and depth:
            result += "|"
        else:
            result += {"*": ".*", "?": "."}.get(sign, re.escape(sign))
        if depth not in (0, 1):
            break
    if depth:
        raise UnsupportedError(f"The pattern {pattern!r} has braces that do not pair, or that are nested.")
    return re.compile(result + r"\Z", re.DOTALL)
