"""The two ways to make one bump. Each returns whether it landed."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import yaml
from lifecycle.gitops import Bump, GitOps, GitOpsError, GitOpsSettings
from lifecycle.model.pin import Pin

from benchmarks.handoff.repository import FILE


def ours(url: str, model: str, version: int, time_limit: float) -> bool:
    """This project's handoff."""
    gitops = GitOps(GitOpsSettings(url=url, time_limit=time_limit))
    bump = Bump(
        environment="staging",
        app="detector",
        model=model,
        registered_model=f"{model}-detector",
        pin=Pin(version, f"{version:064x}", f"{version:032x}"),
        trailers={"Dag-Run": f"benchmark/{model}-{version}"},
    )
    try:
        return gitops.deliver(bump).outcome == "pushed"
    except GitOpsError:
        return False


def plain(url: str, model: str, version: int, time_limit: float) -> bool:
    """What tutorials do: clone everything, load and dump the YAML, push once."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", url, folder], check=True, timeout=time_limit)
        path = Path(folder) / FILE
        content = yaml.safe_load(path.read_text())
        entry = next(entry for entry in content["models"] if entry["name"] == model)
        entry |= {"version": version, "sha256": f"{version:064x}", "runId": f"{version:032x}"}
        path.write_text(yaml.dump(content))
        subprocess.run(["git", "-C", folder, "commit", "--quiet", "-am", f"bump {model}-{version}"], check=True)
        return subprocess.run(["git", "-C", folder, "push", "--quiet"], capture_output=True).returncode == 0
