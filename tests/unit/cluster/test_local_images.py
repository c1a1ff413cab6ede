"""Images for a cluster on this machine: built once, loaded where the context leads, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import local
from cluster.errors import ClusterError
from cluster.settings import ROOT, Settings
from tests.support.settings import changed


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker, kind and k3d that write down how they were called; a build of `broken` fails."""
    log = tmp_path / "calls"
    for name in ("docker", "kind", "k3d"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\ncase "$*" in *broken*) exit 1;; esac\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.parametrize(
    ("context", "load"),
    [
        ("kind-lab", "kind load docker-image {} --name lab"),
        ("k3d-lab", "k3d image import {} --cluster lab"),
    ],
)
def test_each_image_is_built_and_loaded_into_the_cluster_of_the_context(
    settings: Settings, calls: Path, context: str, load: str
) -> None:
    local.images(settings, context, lambda line: None)
    said = calls.read_text().splitlines()
    for name in ("trainer", "triton", "airflow"):
        image = f"{settings.text('images.registry')}/yolo-{name}:{settings.text('images.tag')}"
        built = next(number for number, line in enumerate(said) if line.startswith(f"docker build --tag {image} "))
        assert built < said.index(load.format(image))
    folders = [line.split()[-1] for line in said if line.startswith("docker build")]
    assert all(list((ROOT / folder).glob("Dockerfile")) for folder in folders if folder != ".")


@pytest.mark.parametrize("context", ["", "arn:aws:eks:eu-1:1:cluster/lab", "kind", "gke_lab"])
def test_another_cluster_gets_none(settings: Settings, calls: Path, context: str) -> None:
    with pytest.raises(ClusterError, match="is no cluster of kind or k3d"):
        local.images(settings, context, lambda line: None)
    assert not calls.exists()


def test_a_build_that_fails_is_named(settings: Settings, calls: Path) -> None:
    broken = changed(settings, **{"images.triton": "localhost/yolo/broken"})
    with pytest.raises(ClusterError, match=r"`docker build --tag localhost/yolo/broken.*failed"):
        local.images(broken, "kind-lab", lambda line: None)


@pytest.mark.parametrize(
    ("registry", "alone"), [("localhost/yolo", True), ("localhost.example.com/yolo", False), ("ghcr.io/team", False)]
)
def test_cluster_up_builds_what_no_cluster_can_pull(settings: Settings, registry: str, alone: bool) -> None:
    assert local.unpullable(changed(settings, **{"images.registry": registry})) is alone


def test_and_only_what_a_node_lacks(settings: Settings) -> None:
    tag = settings.text("images.tag")
    names = [f"{settings.text(f'images.{name}')}:{tag}" for name in ("trainer", "triton", "airflow")]
    full = {"status": {"images": [{"names": [name], "sizeBytes": 1} for name in names]}}
    # An image whose tag another one took has no name any more: `names` is absent, or null.
    nameless = [{"sizeBytes": 1}, {"names": None, "sizeBytes": 1}]
    part = {"status": {"images": [*nameless, *full["status"]["images"][1:]]}}
    assert local.absent(settings, [full, full]) == []
    assert local.absent(settings, [full, part]) == names[:1]
    assert local.absent(settings, [{"status": {}}]) == names
