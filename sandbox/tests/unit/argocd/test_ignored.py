"""Fields that stay as somebody else has set them, as RespectIgnoreDifferences has it."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.argocd.cluster.ignored import parse, respected
from sandbox.argocd.errors import UnsupportedError

REPLICAS = 'select(.metadata.annotations["scaled"] == "true") | .spec.replicas'
ON = {"RespectIgnoreDifferences": "true"}


def entry(expression: str = REPLICAS) -> list[dict[str, Any]]:
    return [{"group": "apps", "kind": "Deployment", "jqPathExpressions": [expression]}]


def deployment(replicas: int | None, **annotations: str) -> dict[str, Any]:
    spec = {"paused": False, **({} if replicas is None else {"replicas": replicas})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("live", "replicas"),
    [(deployment(5, scaled="true"), 5), (deployment(5), 2), (deployment(5, scaled="no"), 2), (None, 2)],
)
def test_an_ignored_field_stays_as_it_is_live(live: dict[str, Any] | None, replicas: int) -> None:
    desired = deployment(2, scaled="true")
    found = respected(parse(entry(), ON), desired, live)
    assert found is not None and found["spec"] == {"paused": False, "replicas": replicas}
    assert desired["spec"]["replicas"] == 2, "what Git wants is not changed itself"


@pytest.mark.parametrize(("expression", "options"), [(".spec.replicas", ON), (REPLICAS, {})])
def test_what_the_stand_in_does_not_do_is_refused(expression: str, options: dict[str, str]) -> None:
    with pytest.raises(UnsupportedError):
        parse(entry(expression), options)
