"""Models that share an app: each has a server of its own, so what happens to one does not touch the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.rollouts.asking import Asking
from tests.integration.rollouts.running_site import MODELS, Manifest, Site
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("rollouts")

APP = "several"
BUMPED = "signs"
OTHERS = tuple(model for model in MODELS if model != BUMPED)


@pytest.fixture(scope="module")
def several(site: Site) -> Iterator[Site]:
    """The site with version 1 of three models in one values file."""
    site.serve(APP, dict.fromkeys(MODELS, 1))
    yield site
    site.serve(APP, {})


@pytest.fixture
def asking(several: Site) -> Iterator[dict[str, Asking]]:
    """Clients of all models."""
    with ExitStack() as stack:
        yield {
            model: stack.enter_context(Asking(several.address(APP, model), model, ("http", "grpc"), pause=0.05))
            for model in MODELS
        }


def identities(pods: list[Manifest]) -> list[tuple[str, int]]:
    """Which pods they are, and how often their servers were started again."""
    return sorted((pod["metadata"]["uid"], Site.container(pod)["restartCount"]) for pod in pods)


def seen(asking: Asking) -> set[int]:
    """The versions that answered."""
    return {version for client in asking.clients for version in client.versions}


@pytest.mark.extended
def test_a_bump_of_one_model_reloads_it_alone_and_stops_none(several: Site, asking: dict[str, Asking]) -> None:
    before = {model: identities(several.pods(APP, model)) for model in OTHERS}
    for each in asking.values():
        each.wait(10)
    several.bump(APP, BUMPED, 2)
    several.wait_live(APP, BUMPED, 2)
    for each in asking.values():
        each.wait(10)
    assert {model: each.failures for model, each in asking.items()} == {model: [] for model in MODELS}
    assert {model: seen(each) for model, each in asking.items()} == {BUMPED: {1, 2}} | {model: {1} for model in OTHERS}
    assert {model: identities(several.pods(APP, model)) for model in OTHERS} == before, "the others' pods are the same"


@pytest.mark.extended
def test_a_version_that_cannot_be_loaded_is_never_asked_and_all_serve_on(
    several: Site, asking: dict[str, Asking], handmade: Path
) -> None:
    # A version that MLflow has and whose bytes are as pinned, but which is no detector.
    broken = several.register(BUMPED, handmade / "classifier.onnx")
    (former,) = several.pods(APP, BUMPED)
    version = int(several.describe(former)[0])
    before = {model: identities(several.pods(APP, model)) for model in MODELS}
    several.bump(APP, BUMPED, broken.version)

    def given_up() -> Manifest | None:
        new = [pod for pod in several.pods(APP, BUMPED) if several.describe(pod)[0] == str(broken.version)]
        return next((pod for pod in new if several.container(pod)["restartCount"] >= 1), None)

    pod = until("the broken version was tried again", given_up, several.logs)
    message = several.container(pod)["lastState"]["terminated"]["message"]
    assert message.startswith(f"{BUMPED} is not ready: the model's output has shape [1, 3]"), message
    assert not several.describe(pod)[1]
    for each in asking.values():
        each.wait(20)
    assert {model: seen(each) for model, each in asking.items()} == {BUMPED: {version}} | {
        model: {1} for model in OTHERS
    }
    assert several.health(APP) != "Healthy", "Argo CD must not call this rollout done"

    several.bump(APP, BUMPED, version)
    several.wait_live(APP, BUMPED, version)
    until("the app is healthy again", lambda: several.health(APP) == "Healthy", several.logs)
    assert {model: each.failures for model, each in asking.items()} == {model: [] for model in MODELS}
    assert {model: identities(several.pods(APP, model)) for model in MODELS} == before, "no server was started again"
