"""`make down` ends what runs and says what it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

from sandbox.platform import processes, servers
from sandbox.platform.config import Config
from sandbox.tests.support import ROOT
from sandbox.tests.support.kube import eventually, pod

IDENTITY = "of-this-test"
# Its child outlives it, in a session of its own.
LEAVES_A_CHILD = "setsid sleep 600 & exec sleep 600"


class Platform:
    """Servers that were started and written down as `up` does it."""

    def __init__(self, home: Path) -> None:
        self.config = Config(home, 0, 0)
        self.started: dict[str, dict[str, int]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a server and add it to the state."""
        variables = servers.base_variables(self.config, IDENTITY) | {"PYTHONPATH": str(ROOT)}
        pid = processes.start(name, command, self.config.logs / f"{name}.log", variables, ROOT)
        self.started[name] = {"pid": pid, "started": processes.started(pid)}
        state = {"identity": IDENTITY, "processes": self.started, "ready": True, "urls": {}}
        self.config.state.write_text(json.dumps(state))

    def left(self) -> list[int]:
        """Every live process of it."""
        return processes.of_sandbox(IDENTITY, {each["pid"]: each["started"] for each in self.started.values()})

    def command(self, name: str) -> str:
        """What `make <name>` prints."""
        variables = os.environ | {"SANDBOX_HOME": str(self.config.home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "sandbox.platform", name]
        done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Nothing of it is left, whatever the test did."""
    home = tmp_path / "home"
    home.mkdir()
    platform = Platform(home)
    yield platform
    processes.stop(platform.left(), grace=2.0)


def test_down_names_servers_pods_and_what_they_left(platform: Platform, tmp_path: Path) -> None:
    images = tmp_path / "images.yaml"
    images.write_text(yaml.safe_dump({"images": {"python": {"venv": sys.prefix}}}))
    root = platform.config.kube
    options = ("--root", str(root), "--images", str(images), "--repository-root", str(ROOT))
    platform.start("kube", (sys.executable, "-m", "sandbox.kube", *options))
    platform.start("mlflow", ("sh", "-c", LEAVES_A_CHILD))
    eventually(platform.config.kubeconfig.exists, "the API server")
    with config.new_client_from_config(str(platform.config.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        core.create_namespaced_pod("default", pod("detector", "import time; time.sleep(600)"))
        eventually(lambda: core.read_namespaced_pod("detector", "default").status.phase == "Running", "the pod")

    assert platform.command("down") == (
        "stopped 2 servers (kube, mlflow); 1 pod (detector); 1 process that they left behind"
    )
    assert platform.left() == []
    assert platform.command("down") == "nothing was running"


def test_a_server_that_had_ended_by_itself_is_not_named(platform: Platform) -> None:
    platform.start("mlflow", ("sleep", "600"))
    platform.start("kube", ("true",))
    eventually(lambda: not processes.alive(platform.started["kube"]["pid"]), "the end of kube")
    assert platform.command("down") == "stopped 1 server (mlflow)"


def test_clean_says_what_it_stopped_and_removed(platform: Platform) -> None:
    platform.start("mlflow", ("sleep", "600"))
    home = platform.config.home
    assert platform.command("clean") == f"stopped 1 server (mlflow); {home} is removed"
    assert not home.exists()
