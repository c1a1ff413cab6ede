"""Clients that cost little: requests are made once by tritonclient, and sent again and again as the bytes they are.

On a machine where server and clients share processors, a client that builds a tensor anew for each request would be
measured, and not the server. What clients use is nevertheless reported beside what the server uses.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.processes import BenchmarkError

TIMEOUT = 120.0
GRPC_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Requests of one connection, so that no two clients share one.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]

Prepare = Callable[[int], None]


@dataclass(frozen=True)
class Payload:
    """One request: to which model, the input's name, Triton's type and its array (batch, …), and the wanted outputs."""

    model: str
    name: str
    kind: str
    array: NDArray[Any]
    outputs: tuple[str, ...]


class HttpClient:
    """One HTTP/1.1 connection that is kept."""

    def __init__(self, port: int, requests: Sequence[bytes], prepare: Prepare | None = None) -> None:
        """Connects; `prepare` is called with a request's index before it is sent."""
        self._requests = requests
        self._prepare = prepare
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self, number: int) -> None:
        """Sends request `number` and waits for its whole answer."""
        index = number % len(self._requests)
        if self._prepare is not None:
            self._prepare(index)
        self._socket.sendall(self._requests[index])
        self._answer()

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _answer(self) -> bytes:
        head, _, body = self._receive_until(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(fields[b"content-length"])
        content = bytearray(length)
        content[: len(body)] = body
        view, done = memoryview(content), len(body)
        while done < length:
            received = self._socket.recv_into(view[done:])
            if not received:
                raise BenchmarkError(f"Triton closed the connection in the middle of an answer of {length} bytes")
            done += received
        if b" 200 " not in lines[0] + b" ":
            raise BenchmarkError(
                f"Triton answered {lines[0].decode()}: {bytes(content[:500]).decode(errors='replace')}"
            )
        return bytes(content)

    def _receive_until(self, mark: bytes) -> tuple[bytes, bytes, bytes]:
        received = b""
        while mark not in received:
            part = self._socket.recv(65536)
            if not part:
                raise BenchmarkError("Triton closed the connection before it answered: look into its log")
            received += part
        return received.partition(mark)


class GrpcClient:
    """One gRPC channel; messages stay the bytes they are."""

    def __init__(self, port: int, messages: Sequence[bytes], prepare: Prepare | None = None) -> None:
        """Connects; `prepare` is called with a message's index before it is sent."""
        import grpc

        self._messages = messages
        self._prepare = prepare
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", GRPC_OPTIONS + OWN_CONNECTION)
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer", request_serializer=bytes, response_deserializer=bytes
        )

    def __call__(self, number: int) -> None:
        """Sends request `number` and waits for its whole answer; grpc.RpcError where that is an error."""
        index = number % len(self._messages)
        if self._prepare is not None:
            self._prepare(index)
        self._infer(self._messages[index], timeout=TIMEOUT)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


class Region:
    """System shared memory that a client fills anew for each request, registered with a server."""

    def __init__(self, http_port: int, name: str, size: int) -> None:
        import tritonclient.http as http
        import tritonclient.utils.shared_memory as memory

        self.name, self.size = name, size
        self._memory = memory
        self._server = http.InferenceServerClient(f"127.0.0.1:{http_port}")
        self._handle = memory.create_shared_memory_region(name, f"/{name}", size)
        self._server.register_system_shared_memory(name, f"/{name}", size)

    def fill(self, array: NDArray[Any]) -> None:
        """Writes a request's input, as every client of shared memory has to."""
        self._memory.set_shared_memory_region(self._handle, [array])

    def close(self) -> None:
        """Takes it from the server and removes it."""
        self._server.unregister_system_shared_memory(self.name)
        self._memory.destroy_shared_memory_region(self._handle)
        self._server.close()


def _inputs(module: Any, payload: Payload, region: Region | None) -> tuple[list[Any], list[Any]]:
    entry = module.InferInput(payload.name, list(payload.array.shape), payload.kind)
    if region is None:
        entry.set_data_from_numpy(payload.array)
    else:
        entry.set_shared_memory(region.name, payload.array.nbytes)
    return [entry], [module.InferRequestedOutput(name) for name in payload.outputs]


def http_request(payload: Payload, region: Region | None) -> bytes:
    """A whole HTTP request, head and body."""
    import tritonclient.http as http

    inputs, outputs = _inputs(http, payload, region)
    body, header_length = http.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
    lines = [f"POST /v2/models/{payload.model}/infer HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if header_length is not None:
        lines.append(f"Inference-Header-Content-Length: {header_length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def grpc_request(payload: Payload, region: Region | None) -> bytes:
    """A serialised ModelInferRequest."""
    import tritonclient.grpc as grpc
    from tritonclient.grpc._utils import _get_inference_request

    inputs, outputs = _inputs(grpc, payload, region)
    request = _get_inference_request(
        model_name=payload.model,
        inputs=inputs,
        model_version="",
        request_id="",
        outputs=outputs,
        sequence_id=0,
        sequence_start=False,
        sequence_end=False,
        priority=0,
        timeout=None,
        parameters=None,
    )
    message: bytes = request.SerializeToString()
    return message


def stack(entries: Sequence[Any], batch: int, offset: int) -> NDArray[Any]:
    """A batch of entries from `offset` on, wrapping; bytes become an object array (batch, 1)."""
    chosen = [entries[(offset + index) % len(entries)] for index in range(batch)]
    if isinstance(chosen[0], bytes):
        return np.array([[entry] for entry in chosen], dtype=np.object_)
    return np.ascontiguousarray(np.stack(chosen))
