"""Clients that ask one model without a pause to speak of, and remember each answer in its order.

`http` opens a connection for each request. `kept http` keeps one until the server says that it closes it. `grpc` keeps
its channel. None repeats a request, unless it is asked to: then once, when its connection ended without an answer.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc
import tritonclient.http

KINDS = ("http", "kept http", "grpc")
OUTPUTS = ("detections", "num_detections", "model_info")
# The toy finds class 0 as surely as the picture is red.
RED = np.zeros((1, 3, 64, 64), np.uint8)
RED[:, 0] = 204
SURE = 0.8
TIMEOUT = 30.0


class WrongAnswer(Exception):
    """An answer came, but not the right one."""


def version_of(answer: Any) -> int:
    """Which version gave an answer.

    Raises:
        WrongAnswer: its detections are not those of the toy.
    """
    rows, count = answer.as_numpy("detections")[0], int(answer.as_numpy("num_detections")[0, 0])
    if count != 1 or abs(float(rows[0, 4]) - SURE) > 0.01:
        raise WrongAnswer(f"{count} detections: {rows.tolist()}")
    return int(json.loads(answer.as_numpy("model_info").tobytes())["version"])


class Http:
    """Asks by HTTP."""

    def __init__(self, address: str, model: str, keep: bool) -> None:
        self._host, self._path, self._keep = address, f"/v2/models/{model}/infer", keep
        given = tritonclient.http.InferInput("pixels", list(RED.shape), "UINT8")
        given.set_data_from_numpy(RED)
        wanted = [tritonclient.http.InferRequestedOutput(name) for name in OUTPUTS]
        make = tritonclient.http.InferenceServerClient.generate_request_body
        self._body, length = make([given], outputs=wanted)
        self._headers = {"Inference-Header-Content-Length": str(length)}
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self) -> int:
        """One request; the version that answered."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, 8000, timeout=TIMEOUT)
        self._connection.request("POST", self._path, self._body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise WrongAnswer(f"{answer.status}: {content[:300]!r}")
        length = int(answer.headers["Inference-Header-Content-Length"])
        if not self._keep:
            self.close()
        parse = tritonclient.http.InferenceServerClient.parse_response_body
        return version_of(parse(content, header_length=length))

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Grpc:
    """Asks by gRPC, on one channel."""

    def __init__(self, address: str, model: str) -> None:
        self._client, self._model = tritonclient.grpc.InferenceServerClient(f"{address}:8001"), model
        self._given = tritonclient.grpc.InferInput("pixels", list(RED.shape), "UINT8")
        self._given.set_data_from_numpy(RED)
        self._wanted = [tritonclient.grpc.InferRequestedOutput(name) for name in OUTPUTS]

    def __call__(self) -> int:
        """One request; the version that answered."""
        return version_of(self._client.infer(self._model, [self._given], outputs=self._wanted, client_timeout=TIMEOUT))

    def close(self) -> None:
        """Closes the channel."""
        self._client.close()


def lost(error: Exception) -> bool:
    """Whether a request's connection ended without an answer."""
    if isinstance(error, tritonclient.utils.InferenceServerException):
        # The second of a proxy whose server has died.
        return error.status() == str(grpc.StatusCode.UNAVAILABLE) or "RST_STREAM" in str(error.message())
    return isinstance(error, ConnectionError | http.client.BadStatusLine)


class Client(threading.Thread):
    """One client. `versions`: who answered, in order; `failures`: every error, of whatever kind."""

    def __init__(self, kind: str, address: str, model: str, pause: float, repeats: bool) -> None:
        super().__init__(name=f"{kind} {model}")
        self._repeats = repeats
        self.versions: list[int] = []
        self.failures: list[str] = []
        self.asking = threading.Lock()
        self.stop = threading.Event()
        self._pause = pause
        self._make: Callable[[], Http | Grpc] = (
            (lambda: Grpc(address, model)) if kind == "grpc" else (lambda: Http(address, model, kind == "kept http"))
        )

    def run(self) -> None:
        """Asks until it is told to stop."""
        ask = self._make()
        repeated = False
        while not self.stop.is_set():
            with self.asking:
                try:
                    self.versions.append(ask())
                    repeated = False
                except Exception as error:
                    if self._repeats and not repeated and lost(error):
                        repeated = True
                    else:
                        self.failures.append(f"{time.strftime('%X')} {self.name}: {type(error).__name__}: {error}")
                    ask.close()
                    ask = self._make()
            self.stop.wait(self._pause)
        ask.close()


class Asking:
    """Clients of every kind for one model, for as long as the block lasts."""

    def __init__(
        self,
        address: str,
        model: str,
        kinds: tuple[str, ...] = KINDS,
        pause: float = 0.03,
        repeats: bool = False,
    ) -> None:
        self.clients = [Client(kind, address, model, pause, repeats) for kind in kinds]

    def __enter__(self) -> Asking:
        for client in self.clients:
            client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            client.stop.set()
        for client in self.clients:
            client.join(2 * TIMEOUT)

    @property
    def failures(self) -> list[str]:
        """Those of all clients."""
        return [failure for client in self.clients for failure in client.failures]

    @property
    def answers(self) -> int:
        """How many came so far."""
        return sum(len(client.versions) for client in self.clients)

    def marks(self) -> list[int]:
        """How many answers each client has now."""
        return [len(client.versions) for client in self.clients]

    def since(self, marks: list[int]) -> dict[str, list[int]]:
        """The versions that answered each client since `marks`."""
        return {client.name: client.versions[mark:] for client, mark in zip(self.clients, marks, strict=True)}

    def wait(self, each: int, all_of_them: int = 0, seconds: float = 180) -> None:
        """Waits until each client got that many more answers, and all of them together that many."""
        marks, deadline = self.marks(), time.monotonic() + seconds
        while True:
            more = [len(versions) for versions in self.since(marks).values()]
            if min(more) >= each and sum(more) >= all_of_them:
                return
            assert not self.failures, self.failures[:5]
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {each} answers each; there are {more}"
            time.sleep(0.05)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While it lasts no request is on its way."""
        with ExitStack() as stack:
            for client in self.clients:
                stack.enter_context(client.asking)
            yield
