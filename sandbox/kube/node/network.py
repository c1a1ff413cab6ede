"""The cluster's addresses: a random /24 of 127.0.0.0/8, claimed, so that two sandboxes do not collide."""

from __future__ import annotations

import errno
import random
import socket
from collections import deque

from sandbox.kube.errors import ApiError

ATTEMPTS = 50
CLAIM = "\0yolo-lifecycle-sandbox:{prefix}"


class Network:
    """Hands out pod and service addresses.

    The claim is an abstract Unix socket that is named after the prefix. It ends with the process, however that ends; it
    needs no folder that all users can write to; and it lives in the network namespace, as the addresses do. It takes
    no port, so a real Kubernetes on this machine (port 6443 of every address) is no hindrance.
    """

    def __init__(self) -> None:
        self._claim, self.prefix = _claim()
        # Queues, not sets: an address that was given back is the last to be given out again.
        self._pods = deque(f"{self.prefix}.{number}" for number in range(10, 210))
        self._services = deque(f"{self.prefix}.{number}" for number in range(210, 255))

    @property
    def host(self) -> str:
        """The address that stands for the node."""
        return f"{self.prefix}.1"

    def pod(self) -> str | None:
        """A free pod address, or None when all are in use."""
        return self._pods.popleft() if self._pods else None

    def release_pod(self, address: str) -> None:
        """Give a pod's address back."""
        self._pods.append(address)

    def service(self, wanted: str | None = None) -> str:
        """A free service address, or the wanted one. Raises ApiError 422."""
        if wanted:
            if wanted not in self._services:
                text = f"{wanted} is not a free address of {self.prefix}.210-254; leave clusterIP out"
                raise ApiError(422, f"spec.clusterIP: Invalid value: {text}")
            self._services.remove(wanted)
            return wanted
        if not self._services:
            raise ApiError(422, "spec.clusterIP: all 45 service addresses are in use; delete a service")
        return self._services.popleft()

    def release_service(self, address: str) -> None:
        """Give a service's address back."""
        self._services.append(address)

    def close(self) -> None:
        """Give the whole network back."""
        self._claim.close()


def in_use(address: str, port: int) -> bool:
    """Whether nobody can listen there now.

    On an address that only this sandbox uses, it is a program outside that listens on the port of every address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _claim() -> tuple[socket.socket, str]:
    for _ in range(ATTEMPTS):
        # Not 127.0.x: people bind there by hand. Not 255: broadcast by habit.
        prefix = f"127.{random.randint(16, 254)}.{random.randint(0, 254)}"
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(CLAIM.format(prefix=prefix))
        except OSError as error:
            claim.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return claim, prefix
    raise OSError(f"no free /24 in 127.0.0.0/8: {ATTEMPTS} random ones are all claimed by other sandboxes; stop some")
