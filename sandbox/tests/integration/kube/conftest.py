"""A server that most tests share, the Kubernetes Python client and kubectl against it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from sandbox.tests.support.kube import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that most tests share, each in a namespace of its own."""
    server = Server(tmp_path_factory.mktemp("kube") / "root")
    yield server
    assert server.stop() == 0
    # A bug in a pod's task or in a controller is reported there and nowhere else.
    assert server.stderr() == ""


@pytest.fixture
def core(server: Server) -> client.CoreV1Api:
    """The core API of the Kubernetes Python client."""
    return client.CoreV1Api(server.api_client)


@pytest.fixture
def apps(server: Server) -> client.AppsV1Api:
    """The apps API of the Kubernetes Python client."""
    return client.AppsV1Api(server.api_client)


@pytest.fixture
def namespace(core: client.CoreV1Api) -> Iterator[str]:
    """A fresh namespace; everything in it is deleted afterwards."""
    name = core.create_namespace({"metadata": {"generateName": "test-"}}).metadata.name
    yield name
    core.delete_collection_namespaced_pod(name, grace_period_seconds=0)
    core.delete_namespace(name)


@pytest.fixture
def kubectl(server: Server, namespace: str) -> Callable[..., str]:
    """Run kubectl in the test's namespace; its output. Fails the test when kubectl fails, unless ``check=False``."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")

    def run(*arguments: str, stdin: Any = None, check: bool = True) -> str:
        text = None if stdin is None else yaml.safe_dump_all(stdin if isinstance(stdin, list) else [stdin])
        env = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
        command = [program, "--namespace", namespace, *arguments]
        done = subprocess.run(command, env=env, input=text, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} exited {done.returncode}: {done.stderr}")
        return done.stdout + (done.stderr if not check else "")

    return run
