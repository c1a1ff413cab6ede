"""What is refused before a run trains anything."""

from __future__ import annotations

import pytest
from lifecycle.errors import BadParameter
from lifecycle.gitops import PinnedModel
from lifecycle.model.pin import Pin
from lifecycle.model.target import Target
from lifecycle.steps.opening import check_template

TARGET = Target("staging", "detector", "shapes")


def entry(template: str) -> PinnedModel:
    """The entry of a model of which nothing is live."""
    return PinnedModel("shapes", "shapes-models", Pin(None, "", ""), hold=False, template=template)


@pytest.mark.parametrize(("template", "task"), [("", "detect"), ("classifier", "classify"), ("our_own", "classify")])
def test_template_that_may_serve_the_task_is_taken(template: str, task: str) -> None:
    check_template(entry(template), TARGET, task)


@pytest.mark.parametrize(
    ("template", "task", "has", "change"),
    [
        ("", "classify", "names no template, which serves the task 'detect'", "set `template: classifier` in it"),
        ("classifier", "detect", "has `template: classifier`, which serves the task 'classify'", "take the line"),
    ],
)
def test_template_of_another_task_is_refused_with_the_change_to_make(
    template: str, task: str, has: str, change: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        check_template(entry(template), TARGET, task)
    said = str(refused.value)
    assert "'shapes' of argocd-apps/staging/detector/values.yaml" in said
    assert has in said and f"trains for {task!r}: {change}" in said and "Nothing was trained" in said
