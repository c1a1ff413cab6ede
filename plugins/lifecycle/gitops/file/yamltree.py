"""A YAML text as a tree of nodes that know where in the text they stand.

ruamel.yaml's (or libyaml's) parser gives the events; nothing is resolved or constructed here, because the tree serves
to find characters, not to load values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError as RuamelMarkedError
from ruamel.yaml.error import YAMLError as RuamelError

NodeKind = Literal["scalar", "mapping", "sequence", "alias"]


@dataclass(eq=False)
class Node:
    """One node: its span in the text (start includes anchor and tag), and what it holds.

    `line` counts from 1. `style` is "" for plain scalars. `shared` is true when an alias elsewhere refers to the node.
    """

    kind: NodeKind
    start: int
    end: int
    line: int
    value: str = ""
    style: str = ""
    anchor: str | None = None
    tag: str | None = None
    shared: bool = False
    target: Node | None = None
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    @property
    def resolved(self) -> Node:
        """The node itself, or what the alias stands for."""
        return self.target if self.target is not None else self

    def get(self, key: str) -> list[tuple[Node, Node]]:
        """All pairs of a mapping whose key is that word (more than one if the file repeats itself)."""
        return [pair for pair in self.pairs if pair[0].resolved.kind == "scalar" and pair[0].resolved.value == key]


class InvalidYaml(Exception):
    """The text is not one valid YAML document; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


def parse_with_ruamel(text: str) -> Node:
    """The tree as ruamel.yaml (YAML 1.2) reads the text."""
    try:
        # Pure Python on purpose: its marks count characters of the text that it was given.
        return _build(YAML(typ="safe", pure=True).parse(text))
    except RuamelMarkedError as error:
        raise InvalidYaml(_line_of(error), _words_of(error)) from error
    except RuamelError as error:  # a character that YAML does not allow
        raise InvalidYaml(_line_at(text, getattr(error, "position", 0)), _words_of(error)) from error


def parse_with_libyaml(text: str) -> Node:
    """The tree as libyaml (what Helm's parser is a port of) reads the text: a second opinion."""
    try:
        return _build(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        raise InvalidYaml(_line_of(error), _words_of(error)) from error
    except yaml.YAMLError as error:
        raise InvalidYaml(1, _words_of(error)) from error


def walk(root: Node) -> Iterator[Node]:
    """Every node in the order of the text; aliases are not followed."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        for key, value in reversed(node.pairs):
            stack += (value, key)
        stack += reversed(node.items)


def _build(events: Iterable[Any]) -> Node:
    """Events to nodes, without recursion: a file may be nested as deep as it likes."""
    anchors: dict[str, Node] = {}
    roots: list[Node] = []
    open_nodes: list[Node] = []
    pending_keys: list[Node | None] = []
    for event in events:
        name = type(event).__name__
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            open_nodes.pop().end = event.end_mark.index
            pending_keys.pop()
            continue
        node = _node(event, name, anchors)
        if node is None:
            continue
        if node.anchor is not None and node.kind != "alias":
            anchors[node.anchor] = node
        if not open_nodes:
            roots.append(node)
            if len(roots) > 1:
                raise InvalidYaml(node.line, "a second document starts here; a values file is one document")
        elif open_nodes[-1].kind == "sequence":
            open_nodes[-1].items.append(node)
        elif (key := pending_keys[-1]) is None:
            pending_keys[-1] = node
        else:
            open_nodes[-1].pairs.append((key, node))
            pending_keys[-1] = None
        if node.kind in ("mapping", "sequence"):
            open_nodes.append(node)
            pending_keys.append(None)
    if not roots:
        raise InvalidYaml(1, "the file is empty")
    return roots[0]


def _node(event: Any, name: str, anchors: dict[str, Node]) -> Node | None:
    start, end, line = event.start_mark.index, event.end_mark.index, event.start_mark.line + 1
    if name == "ScalarEvent":
        return Node(
            "scalar",
            start,
            end,
            line,
            value=event.value,
            style=event.style or "",
            anchor=event.anchor,
            # `!!str x` carries a tag; a quoted scalar gets one implied, which is not in the text.
            tag=str(event.tag) if event.tag and not any(event.implicit[:2]) else None,
        )
    if name == "MappingStartEvent":
        return Node("mapping", start, end, line, anchor=event.anchor, tag=None if event.implicit else str(event.tag))
    if name == "SequenceStartEvent":
        return Node("sequence", start, end, line, anchor=event.anchor, tag=None if event.implicit else str(event.tag))
    if name == "AliasEvent":
        target = anchors.get(event.anchor)
        if target is None:
            raise InvalidYaml(line, f"the alias *{event.anchor} refers to no anchor")
        target.shared = True
        return Node("alias", start, end, line, anchor=event.anchor, target=target)
    return None


def _line_of(error: Any) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


def _line_at(text: str, position: Any) -> int:
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1


def _words_of(error: Any) -> str:
    words = " ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    return f"not valid YAML: {words or str(error).splitlines()[0]}"
