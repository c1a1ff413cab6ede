"""Clients that ask all the time, as users do, and remember every answer and every failure.

Both keep their connection, and leave it when the pod's proxy says so. gRPC repeats by itself a request that crosses the
proxy's GOAWAY, but only if the request fits into its buffer for that.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http

# Seconds from an answer to the next request: several in the time of any switch, and most of the processor for others.
PAUSE = 0.3
# Bytes; gRPC's default is 256 KiB, and a request with one picture of 160 pixels is larger.
RETRY_BUFFER = ("grpc.per_rpc_retry_buffer_size", 4 << 20)


class Asking:
    """Asks a model of Triton over HTTP and gRPC until the block ends."""

    def __init__(self, http_url: str, grpc_url: str, size: int, model: str = "digits") -> None:
        self.answers: dict[str, Counter[int]] = {"http": Counter(), "grpc": Counter()}
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._size, self._model = size, model
        self._threads = [
            threading.Thread(target=self._ask, args=("http", http, http_url.removeprefix("http://"), {})),
            threading.Thread(target=self._ask, args=("grpc", grpc, grpc_url, {"channel_args": [RETRY_BUFFER]})),
        ]

    def _ask(self, protocol: str, module: object, address: str, options: dict[str, Any]) -> None:
        client = None
        images = np.random.default_rng(0).random((1, 3, self._size, self._size), dtype=np.float32)
        given = module.InferInput("images", list(images.shape), "FP32")  # type: ignore[attr-defined]
        given.set_data_from_numpy(images)
        wanted = [module.InferRequestedOutput(name) for name in ("num_detections", "model_info")]  # type: ignore[attr-defined]
        while not self._stop.is_set():
            try:
                if client is None:
                    client = module.InferenceServerClient(address, **options)  # type: ignore[attr-defined]
                answer = client.infer(self._model, [given], outputs=wanted)
                info = json.loads(answer.as_numpy("model_info").tobytes())
                self.answers[protocol][int(info["version"])] += 1
            except Exception as error:  # every failure counts, of whatever kind
                self.failures.append(f"{protocol}: {type(error).__name__}: {error}")
            self._stop.wait(PAUSE)
        if client is not None:
            client.close()

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
