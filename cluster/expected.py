"""A Secret that the platform expects, and what can be made of it without a person."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cluster.kubectl import Object

PLATFORM = "platform"
TLS, REGISTRY, BASIC = "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "kubernetes.io/basic-auth"

Data = dict[str, str]
# Secrets that exist or were just made, by (namespace, name).
Known = Mapping[tuple[str, str], Data]
Maker = Callable[[Known, Mapping[str, str]], Data | None]


@dataclass(frozen=True)
class Expected:
    """One Secret.

    `make` returns its content from the other Secrets and the environment variables, or None where these do not suffice;
    `needs` says in words what is then missing. `optional`: all runs without it, with the loss that `purpose` tells.
    """

    namespace: str
    name: str
    keys: tuple[str, ...]
    purpose: str
    make: Maker
    needs: str = ""
    optional: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    # Keys whose value the settings say.
    fixed: Mapping[str, str] = field(default_factory=dict)
    type: str = "Opaque"

    @property
    def command(self) -> str:
        """The kubectl command by which a person makes it."""
        where = f"kubectl -n {self.namespace}"
        if self.type == TLS:
            return f"{where} create secret tls {self.name} --cert=… --key=…"
        if self.type == REGISTRY:
            login = "--docker-server=… --docker-username=… --docker-password=…"
            return f"{where} create secret docker-registry {self.name} {login}"
        literals = " ".join(f"--from-literal={key}={self.fixed.get(key, '…')}" for key in self.keys)
        kind = "" if self.type == "Opaque" else f" --type={self.type}"
        label = f" && {self.label_command}" if self.labels else ""
        return f"{where} create secret generic {self.name}{kind} {literals}{label}"

    @property
    def label_command(self) -> str:
        """The kubectl command that gives it its labels."""
        words = " ".join(f"{key}={value}" for key, value in self.labels.items())
        return f"kubectl -n {self.namespace} label --overwrite secret {self.name} {words}"

    def manifest(self, data: Data) -> Object:
        """The object."""
        metadata = {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels)}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": self.type, "stringData": data}


def new_password() -> str:
    """One that nobody had before."""
    return secrets.token_urlsafe(24)


def from_variables(names: Mapping[str, str]) -> Maker:
    """Content from environment variables; all of them, or none of it."""

    def make(known: Known, variables: Mapping[str, str]) -> Data | None:
        found = {key: variables.get(name, "") for key, name in names.items()}
        return found if all(found.values()) else None

    return make
