"""Selectors, references, path rewriting, rollout arithmetic, phases: rules without a server."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.controllers import rollout
from sandbox.kube.controllers.rollout import Replicas
from sandbox.kube.errors import ApiError
from sandbox.kube.node.images import ImageError, Images, repository_name
from sandbox.kube.node.podstatus import ContainerState, phase
from sandbox.kube.node.references import expand, quantity
from sandbox.kube.node.volumes import PathRewriter
from sandbox.kube.objects import selectors
from sandbox.kube.objects.manifests import SCHEMAS
from sandbox.kube.objects.podspec import POD_SPEC
from sandbox.kube.objects.schema import inert_paths
from sandbox.tests.support import ROOT


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("a=1,b!=2", {"a": "1"}, True),
        ("a==1,b!=2", {"a": "1", "b": "2"}, False),
        ("a in (1,2),!c", {"a": "2"}, True),
        ("a notin (1,2)", {}, True),
        ("a", {}, False),
        ("a=", {"a": ""}, True),
        ("", {}, True),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.labels_match(selectors.parse_labels(selector), labels) is matches


@pytest.mark.parametrize("selector", ["a in", "a in (1", "=1", "a>1"])
def test_broken_label_selectors(selector: str) -> None:
    with pytest.raises(ApiError):
        selectors.parse_labels(selector)


def test_expansion_is_kubernetes_own() -> None:
    variables = {"A": "1", "B": "$(A)"}
    assert expand("$(A) $(B) $(C) $$(A) $A ${A} $", variables) == "1 $(A) $(C) $(A) $A ${A} $"


@pytest.mark.parametrize(("text", "value"), [("500m", 0.5), ("2Gi", 2**31), ("1k", 1000.0), (3, 3.0), ("1e3", 1000.0)])
def test_quantities(text: str | int, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("/models", "/real/m"),
        ("/models/a", "/real/m/a"),
        ("--repository=/models", "--repository=/real/m"),
        ("/models:/models/sub/x", "/real/m:/real/s/x"),
        ("file:///models/a", "file:///real/m/a"),
        ("cp -r /models/. /out", "cp -r /real/m/. /out"),
        ("'/models'; x", "'/real/m'; x"),
        ("/models2", "/models2"),
        ("/models-old", "/models-old"),
        ("/my/models", "/my/models"),
        ("http://host/models", "http://host/models"),
        ("./models", "./models"),
    ],
)
def test_mount_paths_are_rewritten_as_whole_paths(text: str, result: str) -> None:
    assert PathRewriter({"/models": Path("/real/m"), "/models/sub": Path("/real/s")})(text) == result


def test_a_real_path_is_not_rewritten_again() -> None:
    assert PathRewriter({"/work": Path("/work/real")})("/work/x /work") == "/work/real/x /work/real"


@pytest.mark.parametrize(
    ("desired", "surge", "unavailable", "counts"),
    [(4, "25%", "25%", (1, 1)), (3, "25%", "25%", (1, 0)), (1, "0%", "25%", (0, 1)), (10, 3, "10%", (3, 1))],
)
def test_rollout_limits(desired: int, surge: int | str, unavailable: int | str, counts: tuple[int, int]) -> None:
    assert rollout.limits(desired, surge, unavailable) == counts


@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), st.data())
def test_every_rollout_ends_and_stays_within_its_limits(
    desired: int, surge: int, unavailable: int, data: st.DataObject
) -> None:
    surge, unavailable = rollout.limits(desired, surge, unavailable)
    new, old = Replicas(0, 0), Replicas(desired, desired)
    for _ in range(100):
        wanted = rollout.grow(new, [old], desired, surge)
        new = Replicas(wanted, new.available)
        (left,) = rollout.shrink(new, [old], desired, unavailable)
        old = Replicas(left, min(left, old.available))
        assert new.wanted + old.wanted <= desired + surge
        assert new.available + old.available >= desired - unavailable
        if (new, old) == (Replicas(desired, desired), Replicas(0, 0)):
            return
        # Some of the new pods become available, at least one where one is waited for.
        waiting = new.wanted - new.available
        new = Replicas(new.wanted, new.available + (data.draw(st.integers(1, waiting)) if waiting else 0))
    raise AssertionError(f"no end: {new} {old}")


def _state(**state: object) -> ContainerState:
    return ContainerState("c", "i", False, state=dict(state))


def _ended(code: int) -> ContainerState:
    return _state(terminated={"exitCode": code})


@pytest.mark.parametrize(
    ("inits", "mains", "policy", "expected"),
    [
        ([], [_state(waiting={})], "Always", "Pending"),
        ([], [_state(running={}), _ended(1)], "Never", "Running"),
        ([], [_ended(0), _ended(0)], "Never", "Succeeded"),
        ([], [_ended(0), _ended(1)], "Never", "Failed"),
        ([], [_ended(1)], "OnFailure", "Running"),
        ([], [_ended(0)], "Always", "Running"),
        ([_ended(1)], [_state(waiting={})], "Never", "Failed"),
        ([_ended(1)], [_state(waiting={})], "OnFailure", "Pending"),
        ([_state(running={})], [_state(waiting={})], "Never", "Pending"),
    ],
)
def test_phase(inits: list[ContainerState], mains: list[ContainerState], policy: str, expected: str) -> None:
    assert phase(inits, mains, policy) == expected


@pytest.mark.parametrize(
    ("reference", "name"),
    [("a", "a"), ("ghcr.io/x/a:1", "a"), ("host:5000/a", "a"), ("x/a@sha256:00", "a"), ("x/a:1@sha256:00", "a")],
)
def test_image_names(reference: str, name: str) -> None:
    assert repository_name(reference) == name


def test_the_repositorys_images_file(tmp_path: Path) -> None:
    images = Images(ROOT / "sandbox" / "images.yaml", ROOT, tmp_path).load()
    assert set(images) == {"yolo-trainer", "yolo-triton", "git-sync", "haproxy", "s5cmd"}
    assert images["haproxy"].stop_signal is signal.SIGUSR1, "its graceful end"
    path = images["yolo-triton"].environment()["PATH"].split(":")
    assert path[:2] == [str(tmp_path / "images/triton/bin"), str(ROOT / ".venv/triton/bin")]
    assert images["yolo-trainer"].workdir == ROOT / "docker/trainer"


@pytest.mark.parametrize("entry", ["venvv: x", "stopSignal: SIGNONE"])
def test_images_file_with_an_entry_that_means_nothing(entry: str, tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(f"images: {{a: {{{entry}}}}}")
    with pytest.raises(ImageError, match="'a'"):
        Images(tmp_path / "images.yaml", tmp_path, tmp_path).load()


def test_the_readme_lists_everything_that_is_accepted_without_effect() -> None:
    text = (ROOT / "sandbox" / "kube" / "README.md").read_text()
    found = {path.rpartition(".")[2] for path, _ in inert_paths(POD_SPEC, "spec")}
    found |= {path.rpartition(".")[2] for schema in SCHEMAS.values() for path, _ in inert_paths(schema, "")}
    missing = sorted(name for name in found if f"`{name}`" not in text)
    assert not missing
