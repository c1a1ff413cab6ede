"""Clusters on this machine, by k3d or kind."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from cluster.errors import ClusterError
from cluster.kubectl import Object
from cluster.settings import ROOT, Settings

LIST = {"k3d": ["k3d", "cluster", "list", "--no-headers"], "kind": ["kind", "get", "clusters"]}


def missing(settings: Settings) -> bool:
    """Whether the settings want a local cluster that is not there."""
    kind = settings.text("cluster.kind")
    if kind == "current" or shutil.which(kind) is None:
        return kind != "current"
    done = subprocess.run(LIST[kind], capture_output=True, text=True, timeout=60)
    names = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    return settings.text("cluster.name") not in names


def create(settings: Settings) -> None:
    """Make it and wait until it answers.

    Raises:
        ClusterError: k3d or kind failed; its own words are above the message.
    """
    kind, name = settings.text("cluster.kind"), settings.text("cluster.name")
    command = {
        "k3d": ["k3d", "cluster", "create", name, "--wait", "--timeout", "180s"],
        "kind": ["kind", "create", "cluster", "--name", name, "--wait", "180s"],
    }[kind]
    if subprocess.run(command).returncode:
        raise ClusterError(f"`{' '.join(command)}` failed. Is Docker running, and has the machine memory left?")


def delete(settings: Settings) -> None:
    """Remove it with everything in it.

    Raises:
        ClusterError: k3d or kind failed.
    """
    kind, name = settings.text("cluster.kind"), settings.text("cluster.name")
    command = {"k3d": ["k3d", "cluster", "delete", name], "kind": ["kind", "delete", "cluster", "--name", name]}[kind]
    if subprocess.run(command).returncode:
        raise ClusterError(f"`{' '.join(command)}` failed; what it says is above.")


# A server of 0.15 GB in place of NVIDIA's image of 15 GB, for processors.
SERVER, SERVER_FOLDER = "yolo-base-triton", "tools/images/bases/triton"
BUILDS = {
    "trainer": ["docker/trainer"],
    "triton": ["--build-arg", f"BASE={SERVER}", "docker/triton"],
    "airflow": ["--file", "docker/airflow/Dockerfile", "."],
}


def target(context: str) -> tuple[str, str] | None:
    """(kind or k3d, cluster) that the context leads to; None where it is another cluster."""
    kind, _, name = context.partition("-")
    return (kind, name) if kind in LIST and name else None


def unpullable(settings: Settings) -> bool:
    """Whether the images' registry is this machine's name, so that no cluster can pull from it."""
    return settings.text("images.registry").partition("/")[0] == "localhost"


def absent(settings: Settings, nodes: list[Object]) -> list[str]:
    """Images that a node does not have yet, as far as it tells (a node lists the 50 largest)."""
    wanted = [f"{settings.text(f'images.{name}')}:{settings.text('images.tag')}" for name in BUILDS]
    there = [
        {name for image in node["status"].get("images") or [] for name in image.get("names") or []} for node in nodes
    ]
    return [image for image in wanted if not there or any(image not in names for names in there)]


def images(settings: Settings, context: str, say: Callable[[str], None]) -> None:
    """Build the three images, for processors, and load them into the nodes of the local cluster.

    Raises:
        ClusterError: the context is no cluster of kind or k3d, Docker is missing, or a build or the loading failed.
    """
    found = target(context)
    if found is None:
        raise ClusterError(
            f"The context {context or '(none)'} is no cluster of kind or k3d, so images cannot be loaded into its "
            "nodes. Push them to a registry instead (docs/images.md)."
        )
    if shutil.which("docker") is None:
        raise ClusterError("Docker is not installed, which builds the images. Install it and run this again.")
    _docker(say, f"building {SERVER}", ["docker", "build", "--tag", SERVER, SERVER_FOLDER])
    kind, cluster = found
    for name, arguments in BUILDS.items():
        image = f"{settings.text(f'images.{name}')}:{settings.text('images.tag')}"
        _docker(say, f"building {image}", ["docker", "build", "--tag", image, *arguments])
        load = {
            "kind": ["kind", "load", "docker-image", image, "--name", cluster],
            "k3d": ["k3d", "image", "import", image, "--cluster", cluster],
        }[kind]
        _docker(say, f"loading {image} into {cluster}", load)


def _docker(say: Callable[[str], None], what: str, command: list[str]) -> None:
    say(what)
    if subprocess.run(command, cwd=ROOT).returncode:
        raise ClusterError(f"`{' '.join(command)}` failed; what it says is above. Run this again once that is fixed.")
