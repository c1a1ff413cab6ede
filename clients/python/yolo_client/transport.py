"""The connection to Triton: one way to start a call and to tell what its failure means, for all four of tritonclient's
clients (HTTP and gRPC, blocking and asyncio).
"""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yolo_client.errors import DetectorError, NotServing, RequestRefused

Protocol = Literal["http", "grpc"]

# Of a connection that the other side ended: a pod that went, or a proxy that gave up an idle connection.
ENDED = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}
# In Triton's own answers of status UNAVAILABLE: no connection was lost.
NOT_LOADED = ("unknown model", "is not ready", "no available versions")
BUSY = "exceeds maximum queue size"
# Of a stream that a proxy ended because its server has died; gRPC gives such an end many a status.
RESET = "rst_stream with error code"


@dataclass(frozen=True)
class Call:
    """One call: which method of tritonclient's client, of which model, and for `infer` what goes and what comes."""

    method: Literal["is_model_ready", "get_model_config", "infer"]
    model: str
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)


class Transport:
    """tritonclient's client of one address. The first call opens it: an asyncio one belongs to the loop that runs then.

    Args:
        url: `http://host:port`, `https://host:port` or `host:port`; the port of the protocol.
        protocol: `http` or `grpc`.
        timeout: seconds for one call.
        asynchronous: whether calls are awaited.
    """

    def __init__(self, url: str, protocol: Protocol, timeout: float, asynchronous: bool = False) -> None:
        if protocol not in ("http", "grpc"):
            raise ValueError(f"protocol is {protocol!r}, but must be 'http' or 'grpc'")
        self.url = url
        self.protocol = protocol
        self._timeout = timeout
        self._asynchronous = asynchronous
        self._client: Any = None
        self._module: Any = None
        # Exceptions, besides OSError: of a connection ended without an answer, and of any other trouble with it.
        self._ended: tuple[type[Exception], ...] = ()
        self._broken: tuple[type[Exception], ...] = ()

    def start(self, call: Call) -> Any:
        """tritonclient's result; of an asynchronous transport, what gives it when awaited."""
        if self._client is None:
            self._open()
        options: dict[str, Any] = {}
        if self.protocol == "grpc":
            options["client_timeout"] = self._timeout
            if call.method == "get_model_config":
                options["as_json"] = True
        if call.method == "infer":
            # Parameters as text: the two protocols differ in which numbers they carry.
            texts = {key: repr(float(value)) for key, value in call.parameters.items()}
            options["inputs"] = [self._input(name, array) for name, array in call.inputs.items()]
            options["outputs"] = [self._module.InferRequestedOutput(name) for name in call.outputs]
            options["parameters"] = texts or None
        return getattr(self._client, call.method)(call.model, **options)

    def release(self) -> Any:
        """Gives the client away, to be closed; None where there was no call."""
        client, self._client = self._client, None
        return client

    def lost(self, error: Exception) -> bool:
        """Whether the connection was ended without an answer, so that the same call may succeed on a new one.

        An inference changes nothing on the server, so it may be sent again. Not for timeouts (they would double), and
        not for what Triton itself answered.
        """
        from tritonclient.utils import InferenceServerException

        if isinstance(error, InferenceServerException):
            message = str(error.message() or "").lower()
            own = any(text in message for text in (*NOT_LOADED, BUSY))
            return ("StatusCode.UNAVAILABLE" in str(error.status()) or RESET in message) and not own
        return isinstance(error, self._ended) or (isinstance(error, OSError) and error.errno in ENDED)

    def explain(self, error: Exception, model: str) -> DetectorError | None:
        """The `DetectorError` that an exception of tritonclient means; None: it is not one of tritonclient's."""
        from tritonclient.utils import InferenceServerException

        if isinstance(error, InferenceServerException):
            return self._explain_status(str(error.status() or ""), str(error.message() or "").strip(), model)
        if isinstance(error, (OSError, HTTPException, *self._broken)):
            return NotServing(
                f"no answer from Triton at {self.url} ({str(error) or type(error).__name__}): check the address, and "
                f"that the server of model {model!r} is up"
            )
        return None

    def _explain_status(self, status: str, message: str, model: str) -> DetectorError:
        away = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "NOT_FOUND", "404", "502", "503", "504", "499")
        if any(text in message for text in NOT_LOADED) or any(mark in status for mark in away):
            return NotServing(
                f"model {model!r} at {self.url} does not answer ({message or status}): check the model's name, and its "
                "server's log for why it is not ready"
            )
        return RequestRefused(f"model {model!r} at {self.url} refused the request ({status}): {message}")

    def _input(self, name: str, array: NDArray[Any]) -> Any:
        from tritonclient.utils import np_to_triton_dtype

        entry = self._module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        entry.set_data_from_numpy(np.ascontiguousarray(array))
        return entry

    def _open(self) -> None:
        """Imports the client here: each brings a large library, and a program needs one."""
        scheme, _, address = self.url.rpartition("://")
        address, secure = address.rstrip("/"), scheme in ("https", "grpcs")
        options: dict[str, Any] = {"ssl": secure}
        if self.protocol == "grpc":
            if self._asynchronous:
                import tritonclient.grpc.aio as module
            else:
                import tritonclient.grpc as module
        elif self._asynchronous:
            import aiohttp
            import tritonclient.http.aio as module

            self._ended, self._broken = (aiohttp.ServerDisconnectedError,), (aiohttp.ClientError,)
            options["conn_timeout"] = self._timeout
        else:
            import tritonclient.http as module
            from geventhttpclient.response import HTTPConnectionClosed

            self._ended = (HTTPConnectionClosed,)
            options |= {"connection_timeout": self._timeout, "network_timeout": self._timeout}
        self._module = module
        self._client = module.InferenceServerClient(address, **options)
