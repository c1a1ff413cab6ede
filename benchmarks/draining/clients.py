"""Clients that keep one connection each, and repeat nothing by themselves beyond what their protocol says."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

MODEL = "version"
BUFFERED = "gRPC, retry buffer 4 MiB"
TIMEOUT = 30.0


class HttpClient:
    """`http.client`, which opens a connection again only when the server said that it closes it."""

    def __init__(self, address: tuple[str, int], body: bytes) -> None:
        head = {
            "inputs": [
                {
                    "name": "body",
                    "datatype": "UINT8",
                    "shape": [len(body)],
                    "parameters": {"binary_data_size": len(body)},
                }
            ]
        }
        text = json.dumps(head).encode()
        self._content = text + body
        self._headers = {"Inference-Header-Content-Length": str(len(text))}
        self._connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)

    def ask(self) -> int:
        """The version that answers."""
        try:
            self._connection.request("POST", f"/v2/models/{MODEL}/infer", self._content, self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except Exception:
            self._connection.close()
            raise
        if answer.status != 200:
            raise OSError(f"HTTP {answer.status}: {text[:200].decode(errors='replace')}")
        return int(json.loads(text)["outputs"][0]["data"][0])

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


class GrpcClient:
    """A channel of its own; `buffer`: bytes of a request that it keeps to send it again after a GOAWAY."""

    def __init__(self, address: tuple[str, int], body: bytes, buffer: int = 256 << 10) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.per_rpc_retry_buffer_size", buffer)]
        self._channel = grpc.insecure_channel(f"{address[0]}:{address[1]}", options)
        self._infer = service_pb2_grpc.GRPCInferenceServiceStub(self._channel).ModelInfer
        self._request = service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=[body])
        tensor = self._request.inputs.add()
        tensor.name, tensor.datatype = "body", "UINT8"
        tensor.shape.append(len(body))

    def ask(self) -> int:
        """The version that answers."""
        answer = self._infer(self._request, timeout=TIMEOUT)
        return int(np.frombuffer(answer.raw_output_contents[0], np.int32)[0])

    def close(self) -> None:
        """Ends the channel."""
        self._channel.close()


CLIENTS: dict[str, Callable[[tuple[str, int], bytes], HttpClient | GrpcClient]] = {
    "HTTP": HttpClient,
    "gRPC": GrpcClient,
    BUFFERED: partial(GrpcClient, buffer=4 << 20),
}


@dataclass
class Seen:
    """What one client saw: (start, end, version) of each answer and (start, end, what) of each failure."""

    answers: list[tuple[float, float, int]] = field(default_factory=list)
    failures: list[tuple[float, float, str]] = field(default_factory=list)


class Load:
    """Clients that each send the next request `pause` seconds after the answer to the one before."""

    def __init__(self, protocol: str, address: tuple[str, int], body: bytes, clients: int, pause: float = 0.0) -> None:
        self.seen = [Seen() for _ in range(clients)]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(CLIENTS[protocol](address, body), seen, pause), daemon=True)
            for seen in self.seen
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, client: HttpClient | GrpcClient, seen: Seen, pause: float) -> None:
        while not self._stop.is_set():
            start = time.monotonic()
            try:
                version = client.ask()
                seen.answers.append((start, time.monotonic(), version))
            except Exception as error:  # whatever a client may raise is a failed request
                seen.failures.append((start, time.monotonic(), f"{type(error).__name__}: {error}"[:400]))
                self._stop.wait(0.05)
            if pause:
                self._stop.wait(pause)
        client.close()

    def wait_all_answered(self, seconds: float = 30.0) -> None:
        """Waits until every client has had an answer.

        Raises:
            TimeoutError: one had none in time.
        """
        until = time.monotonic() + seconds
        while not all(seen.answers for seen in self.seen):
            if time.monotonic() > until:
                failures = [failure[2] for seen in self.seen for failure in seen.failures]
                raise TimeoutError(f"not every client had an answer within {seconds:g} s: {failures[:1]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends all clients."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT + 5)
