"""A real git remote, the real `sandbox.kube`, and `sandbox.argocd` on the repository's own argocd-apps/."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from sandbox.tests.support import ROOT
from sandbox.tests.support.argocd import REMOTE, Api, Cluster, Fork, prepare


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Everything started, root.yaml applied as a person would; ended afterwards whatever happens."""
    root = tmp_path_factory.mktemp("argocd")
    fork = Fork(root)
    fork.push("as cloned")
    (root / "gitconfig").write_text(f'[url "{fork.remote}"]\n  insteadOf = {REMOTE}\n')
    (root / "images.yaml").write_text("images:\n  box:\n    command: [/bin/sleep, '600']\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": str(root / "gitconfig")}
    kubeconfig = root / "kube" / "kubeconfig"
    logs = {name: (root / f"{name}.log").open("w") for name in ("kube", "argocd")}
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *args: str) -> None:
        command = [sys.executable, "-m", f"sandbox.{name}", *args]
        started.append(subprocess.Popen(command, cwd=root, env=env, stdout=logs[name], stderr=subprocess.STDOUT))

    try:
        start(
            "kube", "--root", str(root / "kube"), "--repository-root", str(root), "--images", str(root / "images.yaml")
        )
        Cluster.until(kubeconfig.exists, "the API server is up", lambda: (root / "kube.log").read_text())
        api = Api(kubeconfig)
        prepare(api)
        pace = ("--poll-seconds", "600", "--round-seconds", "0.1")
        start("argocd", "--kubeconfig", str(kubeconfig), "--root", str(root / "cache"), *pace)
        api.apply(yaml.safe_load((ROOT / "argocd-apps" / "root.yaml").read_text()))
        yield Cluster(api, fork)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=20)
        for log in logs.values():
            log.close()
        sys.stdout.write((root / "argocd.log").read_text())
    assert [process.returncode for process in started] == [0, 0]
