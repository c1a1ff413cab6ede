"""Servers on loopback that speak Triton's protocols and end connections when they are told to."""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NoReturn

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

ROWS = [[1.0, 2.0, 3.0, 4.0, 0.5, 7.0]]

# What becomes of a request: an answer; an answer, and the connection closed after it; the connection closed, or reset,
# instead of an answer; closed in the middle of one; an error of the request; one of the server; no answer at all.
Fate = Literal["answer", "answer and close", "close", "reset", "cut", "refuse", "fail", "hang"]


class HttpServer:
    """Answers every inference with ROWS, but the first ones as `fates` says; `seen` are the requests that arrived."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        self.fates = list(fates)
        self.seen: list[str] = []
        self.connections = 0
        self.closed = threading.Event()
        self.end = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["HttpServer"]:
        """Listens."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                owner.connections += 1
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()
                owner.closed.set()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                owner.seen.append(self.path)
                fate = owner.fates.pop(0) if owner.fates else "answer"
                self.close_connection = fate != "answer"
                if fate == "reset":
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif fate == "hang":
                    owner.end.wait(30)
                elif fate == "refuse":
                    self._send(400, {"error": "that is no picture"})
                elif fate == "fail":
                    self._send(503, {"error": "overloaded"})
                elif fate == "cut":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                elif fate != "close":
                    self._send(200, ANSWER)

            def _send(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                head = f"HTTP/1.1 {status} Told\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body)

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                self.end.set()
                server.shutdown()
                thread.join()


ANSWER = {
    "model_name": "digits",
    "model_version": "1",
    "outputs": [
        {
            "name": "detections",
            "datatype": "FP32",
            "shape": [1, 1, 6],
            "data": ROWS[0],
        },
        {"name": "num_detections", "datatype": "INT32", "shape": [1, 1], "data": [1]},
    ],
}


class GrpcServer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated without types
    """The same for gRPC: the first answers are errors of these status codes."""

    def __init__(self, errors: Sequence[grpc.StatusCode] = (), message: str = "Socket closed") -> None:
        self.errors = list(errors)
        self.message = message
        self.seen = 0

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        """One inference."""
        self.seen += 1
        if self.errors:
            _abort(context, self.errors.pop(0), self.message)
        answer = service_pb2.ModelInferResponse(model_name="digits", model_version="1")
        for name, kind, array in (
            ("detections", "FP32", np.array([ROWS], np.float32)),
            ("num_detections", "INT32", np.array([[1]], np.int32)),
        ):
            answer.outputs.add(name=name, datatype=kind, shape=list(array.shape))
            answer.raw_output_contents.append(array.tobytes())
        return answer

    @contextmanager
    def running(self, port: int = 0) -> Iterator[int]:
        """Listens, on the port that it yields."""
        server = grpc.server(ThreadPoolExecutor(2))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, server)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield bound
        finally:
            server.stop(None).wait()


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")


def unused_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
