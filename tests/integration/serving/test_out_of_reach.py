"""MLflow that is unreachable, refuses, breaks or trickles while a version is loaded, and what the cache makes of it."""

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.integration.serving.own_model import OwnModel
from tests.support.forwarding import Forwarding
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import free_port

pytestmark = pytest.mark.xdist_group("loading")


@pytest.fixture
def forwarding(mlflow_server: Mlflow) -> Forwarding:
    """An address of MLflow that can be taken away."""
    return Forwarding(mlflow_server.port)


def test_a_server_that_is_unreachable_is_waited_for(own: OwnModel, toy: Registered, forwarding: Forwarding) -> None:
    with own.loading(toy.parameters(), mlflow_tracking_uri=forwarding.uri) as loaded:
        own.wait_said("(connection refused): attempt 3 in")
        assert not own.triton.ready(own.name)
        with forwarding.opened():
            assert loaded.result(240)[0] == 200
    with own.detector() as client:
        assert client.served().version == toy.version


def test_a_server_that_stays_unreachable_is_given_up_with_one_line(own: OwnModel, toy: Registered) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert own.refused(toy.parameters(), mlflow_tracking_uri=nobody, load_timeout="3") == (
        f"MLflow at {nobody} did not give version 1 of the registered model 'toy' within 3 s (connection refused): "
        "start it or correct MLFLOW_TRACKING_URI, then load the model again"
    )
    assert "attempt 2" in own.said


@contextmanager
def stub_server(behave: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers as MLflow does on a bad day; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behave(self)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access_is_not_retried(own: OwnModel, toy: Registered, status: int) -> None:
    asked: list[str] = []

    def refuse(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(status)
        request.end_headers()

    with stub_server(refuse) as uri:
        reason = own.refused(toy.parameters(), mlflow_tracking_uri=uri)
    assert f"refused access to version 1 of the registered model 'toy' (HTTP {status})" in reason
    assert len(asked) == 1


def test_server_errors_are_retried(own: OwnModel, toy: Registered) -> None:
    asked: list[str] = []

    def fail(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(503)
        request.end_headers()

    with stub_server(fail) as uri:
        reason = own.refused(toy.parameters(), mlflow_tracking_uri=uri, load_timeout="4")
    assert len(asked) >= 3
    assert "did not give version 1 of the registered model 'toy' within 4 s" in reason


def test_an_answer_that_trickles_in_is_given_up_at_the_time_limit(own: OwnModel, toy: Registered) -> None:
    def trickle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" ")
                request.wfile.flush()
                time.sleep(0.2)
        except OSError:
            pass

    with stub_server(trickle) as uri:
        reason = own.refused(toy.parameters(), mlflow_tracking_uri=uri, load_timeout="3")
    assert "no end within 3 s" in reason


def test_a_restart_with_a_pinned_checksum_needs_no_mlflow(
    own: OwnModel, toy: Registered, forwarding: Forwarding
) -> None:
    with forwarding.opened():
        own.serve(toy.parameters(), mlflow_tracking_uri=forwarding.uri)
    own.serve(toy.parameters(), mlflow_tracking_uri=forwarding.uri, load_timeout="5")
    own.wait_said("from the cache")
    with own.detector() as client:
        assert client.served().version == toy.version


def test_a_damaged_cache_entry_is_fetched_again(own: OwnModel, toy: Registered) -> None:
    own.serve(toy.parameters())
    (cached,) = (own.cache / "objects").iterdir()
    cached.write_bytes(cached.read_bytes()[:-10])
    own.serve(toy.parameters())
    own.wait_said("downloaded")
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == toy.sha256
