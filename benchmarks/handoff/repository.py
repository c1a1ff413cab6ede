"""Bare repositories of any size, made in seconds by `git fast-import`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

FILE = "argocd-apps/staging/detector/values.yaml"


def values(models: int, first_version: int) -> bytes:
    """A values file as people keep it, with comments and quotes."""
    entries = "".join(
        f"""\
  - name: m{number}                        # Triton's model name
    registeredModel: m{number}-detector    # MLflow's registered model
    version: {first_version if number == 0 else 1}                           # integer
    sha256: "{number:064x}"                # of the ONNX file
    runId: "{number:032x}"                 # MLflow run
    hold: false                            # true: only a person bumps it
"""
        for number in range(models)
    )
    return f"# Bumped by the lifecycle; people edit environment.yaml.\nmodels:\n{entries}".encode()


def build(path: Path, commits: int, models: int) -> str:
    """A bare repository whose branch main has so many commits, each a bump of the first model; its URL."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True)
    # As GitHub, GitLab and Gitea have it: clients may leave files out.
    subprocess.run(["git", "-C", str(path), "config", "uploadpack.allowFilter", "true"], check=True)
    with subprocess.Popen(["git", "-C", str(path), "fast-import", "--quiet"], stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        for chunk in _stream(commits, models):
            importer.stdin.write(chunk)
    if importer.returncode != 0:
        raise RuntimeError(f"git fast-import failed with {importer.returncode}")
    # file:// goes through the same protocol as a network remote; a plain path would be copied by hard links.
    return f"file://{path}"


def _stream(commits: int, models: int) -> Iterator[bytes]:
    for number in range(commits):
        content = values(models, number + 1)
        yield b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 4\nbump\n" % (1_700_000_000 + number)
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (FILE.encode(), len(content), content)
