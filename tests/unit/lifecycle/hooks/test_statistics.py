"""What servers and Prometheus tell of their requests, from answers as these programs document them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from lifecycle.errors import StatisticsUnavailable
from lifecycle.hooks.statistics import prometheus_conduct, servers, triton_counters
from lifecycle.model.target import Target
from lifecycle.policy.soak import Counters

TARGET = Target("staging", "detector", "digits")


class Answers:
    """A server whose answers are set; it keeps what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.body: object = {}
        self.by_query: dict[str, str | None] = {}
        self.asked: list[str] = []


@pytest.fixture
def server() -> Iterator[Answers]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query).get("query", [""])[0]
            answers.asked.append(query or parts.path)
            body = answers.body
            if answers.by_query:
                value = next(value for key, value in answers.by_query.items() if key in query)
                found = [] if value is None else [{"metric": {}, "value": [1, value]}]
                body = {"status": "success", "data": {"resultType": "vector", "result": found}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    made = HTTPServer(("127.0.0.1", 0), Handler)
    answers = Answers(f"http://127.0.0.1:{made.server_address[1]}")
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answers
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def test_tritons_statistics_are_counted(server: Answers) -> None:
    stats = {"success": {"count": 8, "ns": 40_000_000}, "fail": {"count": 2, "ns": 5}, "queue": {"count": 8, "ns": 1}}
    server.body = {"model_stats": [{"name": "digits", "version": "1", "inference_stats": stats}]}
    assert triton_counters(server.url, "digits") == Counters(10, 2, 40_000_000)
    assert server.asked == ["/v2/models/digits/stats"]
    server.body = {"error": "what"}
    with pytest.raises(StatisticsUnavailable, match="as Triton does") as error:
        triton_counters(server.url, "digits")
    assert error.value.retryable


def test_prometheus_tells_by_the_charts_rules(server: Answers) -> None:
    server.by_query = {"requests_failed": "1.5", "yolo:requests:rate5m": "30", "quantile": "42.5"}
    conduct = prometheus_conduct(server.url + "/", TARGET, 1800)
    assert (conduct.failure_ratio, conduct.latency_ms) == (0.05, 42.5)
    assert all('namespace="staging",job="detector",model="digits"' in query for query in server.asked)
    server.by_query = {"yolo:requests:rate5m": None}
    assert prometheus_conduct(server.url, TARGET, 60).failure_ratio is None, "nobody asked"
    server.by_query = {"requests_failed": None, "yolo:requests:rate5m": "30", "quantile": "NaN"}
    conduct = prometheus_conduct(server.url, TARGET, 60)
    assert (conduct.failure_ratio, conduct.latency_ms) == (0.0, None)


def test_pods_are_asked_at_their_own_address_and_port() -> None:
    def pod(name: str, address: str | None, port: int) -> dict[str, object]:
        ports = [{"name": "grpc", "containerPort": 1}, {"name": "http", "containerPort": port}]
        return {
            "metadata": {"name": name},
            "spec": {"containers": [{"ports": ports}]},
            "status": {"podIP": address} if address else {},
        }

    found = servers([pod("a", "10.0.0.1", 8000), pod("b", None, 8000), pod("c", "fd00::1", 9000)])
    assert found == {"a": "http://10.0.0.1:8000", "c": "http://[fd00::1]:9000"}
