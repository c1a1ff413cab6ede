"""Go templates as an ApplicationSet has them, by Helm's own engine.

Helm and Argo CD both use text/template with the Sprig functions. Two things differ and are taken care of here: Helm
renders a missing key as nothing, where ``missingkey=error`` has to fail, so each field that a template reads is checked
first; and Helm has functions that Argo CD has not, which are refused.
"""

from __future__ import annotations

import json
import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import helm_python

from sandbox.argocd.errors import TemplateError, UnsupportedError

_ACTION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*')"""
    r"""|(?P<variable>\$\w+)|(?P<field>\$?(?:\.[A-Za-z_]\w*)+)|(?P<number>[-+]?\d[\w.]*)|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<close>\))|(?P<other>\s+|.)""",
    re.DOTALL | re.VERBOSE,
)
_KEYWORDS = {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
# In Helm's engine, not in Argo CD's.
_HELM_ONLY = {"include", "tpl", "required", "lookup", "toToml", "fromToml", "env", "expandenv", "getHostByName"}


def render(template: str, params: dict[str, Any]) -> str:
    """One string with its templates filled in, missing keys being errors.

    Raises:
        TemplateError: as Argo CD would: a key is missing, a function fails, the syntax is wrong.
        UnsupportedError: control structures or variables, which are not supported here.
    """
    if "{{" not in template:
        return template
    for chain in _fields(template):
        _require(template, chain, params)
    try:
        return _helm(template, json.dumps(params))
    except helm_python.HelmError as error:
        raise TemplateError(f"The template {template!r} fails: {error}") from error


def render_deep(value: Any, params: dict[str, Any]) -> Any:
    """Fill in every string of a structure, the keys of mappings too; numbers and booleans stay what they are."""
    if isinstance(value, str):
        return render(value, params)
    if isinstance(value, list):
        return [render_deep(item, params) for item in value]
    if isinstance(value, dict):
        return {render(str(key), params): render_deep(item, params) for key, item in value.items()}
    return value


@lru_cache(maxsize=512)
def _fields(template: str) -> tuple[tuple[str, ...], ...]:
    """The fields that a template reads, as paths from its argument."""
    found: dict[tuple[str, ...], None] = {}
    for action in _ACTION.finditer(template):
        former = ""
        for token in _TOKEN.finditer(action.group(1)):
            kind, text = str(token.lastgroup), token.group()
            if kind == "word" and (text in _KEYWORDS or text in _HELM_ONLY):
                raise UnsupportedError(f"The template {template!r} uses `{text}`, which is not supported here.")
            if kind == "variable" or (kind == "field" and former == "close"):
                raise UnsupportedError(
                    f"The template {template!r} uses `{text}`; only fields of its parameters are supported."
                )
            if kind == "field":
                found[tuple(text.lstrip("$").lstrip(".").split("."))] = None
            former = kind
    return tuple(found)


def _require(template: str, chain: tuple[str, ...], params: Any) -> None:
    here = params
    for key in chain:
        if not isinstance(here, dict):
            raise TemplateError(
                f"The template {template!r} fails: can't evaluate field {key} in {type(here).__name__}."
            )
        if key not in here:
            raise TemplateError(f"The template {template!r} fails: map has no entry for key {key!r}.")
        here = here[key]


@lru_cache(maxsize=1024)
def _helm(template: str, params: str) -> str:
    # `include` gives the template its parameters as both `.` and `$`; JSON keeps nulls that values would lose.
    text = '{{- define "t" }}' + template + '{{ end -}}{{- include "t" (fromJson .Values.params) -}}'
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, "t")
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 0.0.0\n")
        (chart / "templates" / "t.txt").write_text(text)
        with helm_python.Chart.load(chart) as loaded:
            return loaded.render({"params": params}, name="t")["t/templates/t.txt"]
