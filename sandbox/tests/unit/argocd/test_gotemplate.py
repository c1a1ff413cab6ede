"""Go templates by Helm's engine, with missingkey=error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.argocd.appset.gotemplate import render, render_deep
from sandbox.argocd.errors import TemplateError, UnsupportedError

PARAMS: dict[str, Any] = {
    "path": {"path": "argocd-apps/sandbox/detector", "segments": ["argocd-apps", "sandbox"], "basename": "detector"},
    "metadata": {"annotations": {"yolo-lifecycle/team": "vision"}},
    "empty": "",
    "nothing": None,
    "number": 3,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("no template at all", "no template at all"),
        ("{{ index .path.segments 1 }}-{{ .path.basename }}", "sandbox-detector"),
        ("/{{ .path.path }}/values.yaml", "/argocd-apps/sandbox/detector/values.yaml"),
        ('{{ index .metadata.annotations "yolo-lifecycle/team" | upper }}', "VISION"),
        ("{{ $.number }}{{- .empty -}}  !", "3!"),
        ('{{ dig "absent" "fallback" . }}', "fallback"),
        ('{{ default "none" .nothing }}', "none"),
        ('{{ "a string with .fields and {{ braces" }}', "a string with .fields and {{ braces"),
    ],
)
def test_templates_are_filled_in_as_go_does(template: str, expected: str) -> None:
    assert render(template, PARAMS) == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ .absent }}", "map has no entry for key 'absent'"),
        ("{{ .path.absent | default 1 }}", "map has no entry for key 'absent'"),
        ("{{ .empty.below }}", "can't evaluate field below in str"),
        ("{{ index .path.segments 7 }}", "index out of range: 7"),
        ("{{ nosuchfunction .number }}", "nosuchfunction"),
        ("{{ .number", "parse error"),
    ],
)
def test_what_fails_in_argo_cd_fails_here(template: str, said: str) -> None:
    with pytest.raises(TemplateError) as failed:
        render(template, PARAMS)
    assert said in str(failed.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ if .number }}x{{ end }}",
        "{{ range .path.segments }}x{{ end }}",
        '{{ include "t" . }}',
        '{{ lookup "v1" "Secret" "a" "b" }}',
        "{{ $x := .number }}{{ $x }}",
        "{{ (index .path.segments 0).field }}",
        '{{ env "HOME" }}',
    ],
)
def test_what_the_stand_in_does_not_do_is_refused(template: str) -> None:
    with pytest.raises(UnsupportedError):
        render(template, PARAMS)


def test_keys_and_values_of_a_structure_are_filled_in_and_other_types_stay() -> None:
    given_ = {"env-{{ .path.basename }}": ["{{ .number }}", True, 7, None, {"deep": "{{ .empty }}"}]}
    assert render_deep(given_, PARAMS) == {"env-detector": ["3", True, 7, None, {"deep": ""}]}


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_parameter_comes_out_as_it_went_in(text: str) -> None:
    # Helm replaces this marker of Go's for missing values; as a parameter it cannot be told apart.
    if "<no value>" not in text:
        assert render("<{{ .text }}>", {"text": text}) == f"<{text}>"
