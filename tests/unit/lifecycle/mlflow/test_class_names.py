"""The tag `class_names` of a run is a list, or only counts them where they are too many for a tag."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from lifecycle.mlflow.runs import describe


@pytest.mark.parametrize(
    ("tag", "count"), [('["cat", "dog"]', 2), ('{"count": 1203, "artifact": "dataset/class_names.json"}', 1203)]
)
def test_lineage_tells_how_many_classes_there_are(tag: str, count: int) -> None:
    data = SimpleNamespace(tags={"class_names": tag}, metrics={})
    run = SimpleNamespace(data=data, info=SimpleNamespace(run_id="r", experiment_id="1"))
    assert describe(cast(Any, run)).classes == count
