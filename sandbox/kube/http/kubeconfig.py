"""The kubeconfig that lets kubectl and the Kubernetes clients in, and nobody else on the machine.

kubectl sends no bearer token over plain http, so the secret is the first part of every URL's path instead. All clients
keep a path in ``server``. The file can be read by its owner alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml


def write(file: Path, server: str) -> None:
    """Write a kubeconfig with mode 0600, replacing an older one atomically."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": {"server": server}}],
        "users": [{"name": "sandbox", "user": {}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox", "namespace": "default"}}],
        "current-context": "sandbox",
    }
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        yaml.safe_dump(document, stream, sort_keys=False)
    temporary.replace(file)
