"""``spec.ignoreDifferences`` with the sync option RespectIgnoreDifferences: fields that stay as somebody else set them.

Of jq, one form: ``select(.metadata.annotations["<key>"] == "<value>") | .<field>.<field>``.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

from sandbox.argocd.cluster.kube import Manifest
from sandbox.argocd.errors import UnsupportedError, only

FORM = re.compile(r'select\(\.metadata\.annotations\["([^"]+)"\] == "([^"]*)"\) \| ((?:\.\w+)+)')


@dataclass(frozen=True)
class Ignored:
    """One field of the objects of a kind that carry an annotation."""

    group: str
    kind: str
    annotation: tuple[str, str]
    path: tuple[str, ...]


def parse(entries: list[Manifest], options: dict[str, str]) -> tuple[Ignored, ...]:
    """The rules. Raises UnsupportedError for another form, or where a sync would overwrite what is ignored."""
    found = []
    for entry in entries:
        only(entry, {"group", "kind", "jqPathExpressions"}, "spec.ignoreDifferences[]")
        if options.get("RespectIgnoreDifferences") != "true":
            raise UnsupportedError("spec.ignoreDifferences needs the sync option RespectIgnoreDifferences=true here.")
        for expression in entry.get("jqPathExpressions") or []:
            match = FORM.fullmatch(expression)
            if match is None:
                raise UnsupportedError(
                    f"The jq expression {expression!r} is none that the stand-in knows: {FORM.pattern}"
                )
            path = tuple(match[3].strip(".").split("."))
            found.append(Ignored(entry.get("group", ""), entry["kind"], (match[1], match[2]), path))
    return tuple(found)


def respected(rules: tuple[Ignored, ...], desired: Manifest | None, live: Manifest | None) -> Manifest | None:
    """What Git wants, with the ignored fields as they are live: neither a difference nor undone by a sync."""
    if desired is None or live is None:
        return desired
    group = live["apiVersion"].rpartition("/")[0]
    annotations = live["metadata"].get("annotations") or {}
    for rule in rules:
        key, value = rule.annotation
        found = _at(live, rule.path)
        if (rule.group, rule.kind) == (group, live["kind"]) and annotations.get(key) == value and found is not None:
            desired = copy.deepcopy(desired)
            holder = _at(desired, rule.path[:-1])
            if isinstance(holder, dict):
                holder[rule.path[-1]] = found
    return desired


def _at(manifest: Manifest, path: tuple[str, ...]) -> Any:
    found: Any = manifest
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found
