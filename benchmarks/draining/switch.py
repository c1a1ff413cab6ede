"""What stands for a Service: new connections go to the pod that is its endpoint now, kept ones stay where they are.

    python -m benchmarks.draining.switch <port to listen on>

Each line on standard input is the address and port of a pod, which the next connections go to. Bytes are handed over by
the kernel (splice), so that the switch takes little of the processors that are measured; an end and a reset are passed
on as what they are. kube-proxy does the same with a rule of the kernel.
"""

import os
import socket
import struct
import sys
import threading
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK = 1 << 20
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Switch:
    """Listens until the process ends."""

    def __init__(self, port: int) -> None:
        self.endpoint = ("", 0)
        self._listener = socket.create_server((HOST, port), backlog=512)

    def serve(self) -> None:
        """Accepts connections; each gets two threads."""
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            pod = socket.create_connection(self.endpoint)
        except OSError:
            _reset(client)
            return
        for each in (client, pod):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pass_on, args=(pod, client), daemon=True)
        back.start()
        _pass_on(client, pod)
        back.join()
        client.close()
        pod.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Everything that comes from one side to the other, up to the end or a reset."""
    take, give = os.pipe()
    try:
        while count := os.splice(source.fileno(), give, CHUNK):
            while count:
                count -= os.splice(take, target.fileno(), count)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            _reset(each)
    finally:
        os.close(take)
        os.close(give)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def main() -> None:
    """Command line."""
    switch = Switch(int(sys.argv[1]))
    threading.Thread(target=switch.serve, daemon=True).start()
    for line in sys.stdin:
        host, port = line.split()
        switch.endpoint = (host, int(port))
        print("switched", flush=True)


if __name__ == "__main__":
    main()
