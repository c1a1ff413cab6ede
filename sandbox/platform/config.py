"""Where the sandbox keeps its state and which settings it takes from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
# What the pods of charts/triton listen on, at addresses of their own: HTTP, gRPC, metrics.
POD_PORTS = (8000, 8001, 8002)


class SandboxError(Exception):
    """Something that a person has to fix; the message says what and how."""


def repository_url() -> str:
    """What argocd-apps/ names as the repository's address (a fork's own); git maps it to the sandbox's bare one."""
    return _root_source()["repoURL"]


def repository_branch() -> str:
    """The branch that argocd-apps/ follows."""
    return _root_source()["targetRevision"]


def _root_source() -> dict[str, str]:
    root = yaml.safe_load((REPOSITORY_ROOT / "argocd-apps" / "root.yaml").read_text())
    source: dict[str, str] = root["spec"]["source"]
    return source


def _port(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) > 65535:
        raise SandboxError(f"{name}={text!r} is not a port: give a number from 0 (any free one) to 65535.")
    return int(text)


@dataclass(frozen=True)
class Config:
    """Paths under `home` and the ports that were asked for (0: any free one)."""

    home: Path
    airflow_port: int
    mlflow_port: int

    @classmethod
    def from_environment(cls) -> Config:
        """Read SANDBOX_HOME, AIRFLOW_PORT and MLFLOW_PORT."""
        home = Path(os.environ.get("SANDBOX_HOME") or REPOSITORY_ROOT / ".sandbox").resolve()
        return cls(home, _port("AIRFLOW_PORT", 8080), _port("MLFLOW_PORT", 5000))

    @property
    def state(self) -> Path:
        """What `up` started: identity, processes, addresses (JSON)."""
        return self.home / "platform.json"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.home / "logs"

    @property
    def bare_repository(self) -> Path:
        """The git remote."""
        return self.home / "git" / "yolo-lifecycle.git"

    @property
    def gitconfig(self) -> Path:
        """The file that GIT_CONFIG_GLOBAL names for every process of the sandbox."""
        return self.home / "git" / "config"

    @property
    def kube(self) -> Path:
        """State of the Kubernetes stand-in."""
        return self.home / "kube"

    @property
    def kubeconfig(self) -> Path:
        """Credentials for the Kubernetes stand-in; `kubectl --kubeconfig` takes it."""
        return self.kube / "kubeconfig"

    def account_kubeconfig(self, account: str) -> Path:
        """Credentials of a ServiceAccount of Airflow's, with its rights and no more."""
        return self.kube / "accounts" / account

    def python(self, image: str) -> Path:
        """The Python of the virtual environment that stands in for an image."""
        return REPOSITORY_ROOT / ".venv" / image / "bin" / "python"
