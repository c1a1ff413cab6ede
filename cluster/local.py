"""Clusters on this machine, by k3d or kind."""

from __future__ import annotations

import shutil
import subprocess

from cluster.errors import ClusterError
from cluster.settings import Settings

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
