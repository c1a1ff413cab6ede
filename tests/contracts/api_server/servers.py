"""The API servers to test: the sandbox's, one started from envtest's programs, the one of a kubeconfig."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.tests.support.kube import Server
from tests.support.processes import free_port, running, tail, until

# Where it is `real`, nothing of the sandbox answers.
CHOICE = "CONTRACTS_ON"
PROGRAMS = ("etcd", "kube-apiserver")


@dataclass(frozen=True)
class ApiServer:
    """One API server.

    Args:
        kubeconfig: leads to it as its administrator.
        folder: for what clients remember of it.
        real: nothing of it is the sandbox's.
        controllers: Kubernetes' controllers run beside it, the garbage collector among them, and a kubelet.
        image: one with Python, for pods that run.
        kept: it outlives the tests, so they leave nothing behind and make nothing that belongs to the whole cluster.
    """

    kubeconfig: Path
    folder: Path
    real: bool
    controllers: bool
    kept: bool
    image: str = "python:3.11-slim"


def chosen() -> str:
    """`sandbox`, or what real one the variables name: `programs` (KUBEBUILDER_ASSETS) or `kubeconfig` (KUBECONFIG).

    Raises:
        ValueError: a real one is asked for and no variable names it.
    """
    if os.environ.get(CHOICE) != "real":
        return "sandbox"
    if os.environ.get("KUBEBUILDER_ASSETS"):
        return "programs"
    if os.environ.get("KUBECONFIG"):
        return "kubeconfig"
    raise ValueError(
        "No real API server to test. Set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl "
        "(`setup-envtest use --print path` prints one), or KUBECONFIG to a cluster's file."
    )


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Whatever `chosen` says, running; `folder` is for its files."""
    kind = chosen()
    if kind == "sandbox":
        server = Server(folder / "sandbox")
        try:
            yield ApiServer(server.kubeconfig, folder, real=False, controllers=True, kept=False, image="python")
        finally:
            code, errors = server.stop(), server.stderr()
            if code or errors:
                raise AssertionError(f"sandbox.kube ended with {code}: {errors}")
    elif kind == "programs":
        with control_plane(Path(os.environ["KUBEBUILDER_ASSETS"]).resolve(), folder) as kubeconfig:
            yield ApiServer(kubeconfig, folder, real=True, controllers=False, kept=False)
    else:
        yield ApiServer(Path(os.environ["KUBECONFIG"]), folder, real=True, controllers=True, kept=True)


@contextmanager
def limited(server: ApiServer, **room: str) -> Iterator[None]:
    """While it lasts the sandbox's node, which else has room for all, gives this much; a real one gives what it has."""
    if server.real:
        yield
        return
    address = yaml.safe_load(server.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    def put(body: dict[str, str]) -> None:
        request = urllib.request.Request(f"{address}/allocatable", json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=5).close()

    put(room)
    try:
        yield
    finally:
        put({})


@contextmanager
def control_plane(programs: Path, folder: Path) -> Iterator[Path]:
    """etcd and kube-apiserver on loopback, with RBAC and the default admission plugins; yields a kubeconfig.

    Raises:
        FileNotFoundError: a program is not in the folder.
    """
    for name in PROGRAMS:
        if not (programs / name).exists():
            raise FileNotFoundError(f"KUBEBUILDER_ASSETS is {programs}, and there is no {name} in it.")
    client, peer, port = free_port(), free_port(), free_port()
    etcd = [
        str(programs / "etcd"), f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]  # fmt: skip
    token, key, tokens = secrets.token_hex(16), folder / "accounts.key", folder / "tokens.csv"
    _secret(tokens, f'{token},admin,admin,"system:masters"\n')
    _secret(key, _private_key())
    server = [
        str(programs / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{client}", f"--cert-dir={folder / 'tls'}",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}",
        "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC",
        f"--token-auth-file={tokens}", "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(running(etcd, folder / "etcd.log"))
        process = stack.enter_context(running(server, folder / "kube-apiserver.log"))
        url, ca = f"https://127.0.0.1:{port}", folder / "tls" / "apiserver.crt"

        def ready() -> bool:
            ended = process.poll()
            assert ended is None, f"kube-apiserver ended with {ended}:\n{tail(folder / 'kube-apiserver.log')}"
            return ca.exists() and _ready(f"{url}/readyz", ca, token)

        until("kube-apiserver is ready", ready, lambda: tail(folder / "kube-apiserver.log"), 120)
        yield _kubeconfig(folder / "kubeconfig", url, ca, token)


def _ready(url: str, ca: Path, token: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5, context=ssl.create_default_context(cafile=str(ca))) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _kubeconfig(file: Path, url: str, ca: Path, token: str) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "contracts", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "contracts", "user": {"token": token}}],
        "contexts": [{"name": "contracts", "context": {"cluster": "contracts", "user": "contracts"}}],
        "current-context": "contracts",
    }
    _secret(file, yaml.safe_dump(document))
    return file


def kubectl(server: ApiServer, namespace: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run kubectl: the one beside the server's programs, or else the one on PATH."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "") if server.real else ""
    program = shutil.which("kubectl", path=folder or None)
    if program is None:
        pytest.skip("kubectl is not installed")
    variables = {**os.environ, "KUBECACHEDIR": str(server.folder / "kubectl")}
    command = [program, f"--kubeconfig={server.kubeconfig}", f"--namespace={namespace}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=variables, check=False)
