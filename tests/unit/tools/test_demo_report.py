"""What the demo's report asks the servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.demo import served_config
from tools.rest import RestError


@contextmanager
def server(*answers: tuple[int, str] | None) -> Iterator[tuple[str, list[str]]]:
    """Answers requests in this order, and with None closes the connection; its address, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers[len(asked) - 1]
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(answer[1].encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/config", asked
        finally:
            running.shutdown()


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    with server(None, None, (200, '{"name": "digits"}')) as (url, asked):
        assert served_config(url) == {"name": "digits"}
        assert asked == ["/config"] * 3


def test_a_server_that_says_no_or_never_answers_ends_the_report() -> None:
    with server((404, "unknown model")) as (url, asked):
        with pytest.raises(RestError, match="answered 404: unknown model"):
            served_config(url)
        assert len(asked) == 1
    with server(None, None, None) as (url, asked):
        with pytest.raises(RestError, match="no answer"):
            served_config(url)
        assert len(asked) == 3
