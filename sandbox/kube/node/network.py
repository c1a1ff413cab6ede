"""The cluster's addresses: a random /24 of 127.0.0.0/8, claimed, so that two sandboxes do not collide."""

from __future__ import annotations

import random
import socket
from collections import deque

from sandbox.kube.errors import ApiError

CLAIM_PORT = 6443


class Network:
    """Hands out pod and service addresses. The claim is a bound socket: it ends with the process, however that ends."""

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


def _claim() -> tuple[socket.socket, str]:
    for _ in range(50):
        # Not 127.0.x: people bind there by hand. Not 255: broadcast by habit.
        prefix = f"127.{random.randint(16, 254)}.{random.randint(0, 254)}"
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.bind((f"{prefix}.1", CLAIM_PORT))
        except OSError:
            sock.close()
            continue
        return sock, prefix
    raise OSError(
        f"no free /24 in 127.0.0.0/8: port {CLAIM_PORT} is taken on 50 random addresses, probably by a server that "
        f"listens on 0.0.0.0:{CLAIM_PORT} (a real Kubernetes does); stop it while the sandbox runs"
    )
