"""What the Kubernetes API refuses becomes an error that says whether a retry can help, by either client."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle.errors import ClusterError, ClusterUnavailable, LifecycleError, ObjectMissing
from lifecycle.hooks.kubernetes import AsyncClusterHook, ClusterHook, endpoint
from lifecycle.model.target import Target
from lifecycle.settings import settings
from lifecycle.triggers.application import ApplicationTrigger

from tests.support.airflow_connections import Connect

TARGET = Target("staging", "detector", "digits")
REFUSALS = [
    (403, ClusterError, "refused to"),
    (404, ObjectMissing, "because there is none"),
    (429, ClusterUnavailable, "could not"),
    (500, ClusterUnavailable, "could not"),
    (503, ClusterUnavailable, "could not"),
]
Ask = Callable[[], object]


@dataclass
class Api:
    """An API server that answers pods with `status`, and an Application that has failed."""

    status: int = 200
    url: str = ""
    unmeasured: bool = False
    body: bytes | None = None
    before: list[int] = field(default_factory=list)
    slow: float = 0.0
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if "/applications/" in path and self.status == 200:
            failed = {"sync": {"revision": "a" * 40, "status": "Synced"}, "health": {"status": "Degraded"}}
            return 200, {"metadata": {"name": "staging-detector"}, "status": failed}
        if "/metrics.k8s.io/" in path and self.status == 200:
            usage = [{"usage": {"memory": memory}} for memory in ("512Mi", "1024Ki")]
            items = [{"containers": usage}, {"containers": usage[:1]}]
            return 200, {"kind": "PodMetricsList", "items": [] if self.unmeasured else items}
        if self.status == 200:
            return 200, {"kind": "PodList", "items": [{"metadata": {"name": "detector-digits-1"}}]}
        return self.status, {"kind": "Status", "status": "Failure", "code": self.status, "message": "no pods for you"}


@pytest.fixture
def api(tmp_path: Path, connect: Connect) -> Iterator[Api]:
    """The server, with a connection of Airflow that leads to it."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api.asked.append(f"{self.command} {self.path}")
            if api.slow:
                time.sleep(api.slow)
            status, content = api.answer(self.path)
            if api.before:
                status, content = api.before.pop(0), {"kind": "Status", "message": "not now"}
            body = api.body or json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": api.url}}],
        "users": [{"name": "one", "user": {}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
    connect("kubernetes_default", connection, KUBERNETES_RETRIES="0")
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def later(ask: Callable[[AsyncClusterHook], Awaitable[object]]) -> Ask:
    return lambda: asyncio.run(_awaited(ask))


async def _awaited(ask: Callable[[AsyncClusterHook], Awaitable[object]]) -> object:
    return await ask(AsyncClusterHook("kubernetes_default"))


QUESTIONS = {
    "pods, from a task": lambda: ClusterHook("kubernetes_default").pods(TARGET),
    "memory": lambda: ClusterHook("kubernetes_default").memory(TARGET),
    "pods, from a trigger": later(lambda hook: hook.pods("staging", TARGET.selector)),
    "Application": later(lambda hook: hook.application("argocd", TARGET.application)),
    "refresh": later(lambda hook: hook.request_refresh("argocd", TARGET.application)),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("status", "error", "said"), REFUSALS)
def test_refusal_is_typed_with_its_status_and_words(
    api: Api, question: str, status: int, error: type[LifecycleError], said: str
) -> None:
    api.status = status
    with pytest.raises(LifecycleError, match=f"{said}.*{status} .*no pods for you") as refused:
        QUESTIONS[question]()
    assert type(refused.value) is error
    assert refused.value.retryable is (error is ClusterUnavailable)


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_that_takes_too_long_is_worth_a_retry(
    api: Api, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_KUBERNETES_TIMEOUT", "0.05")
    settings.cache_clear()
    api.slow = 0.2
    with pytest.raises(ClusterUnavailable, match="did not answer the request to"):
        QUESTIONS[question]()


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b'{"kind": "PodList"}', b"[]"])
@pytest.mark.parametrize("question", ["pods, from a task", "pods, from a trigger"])
def test_what_is_no_answer_of_the_api_is_told(api: Api, question: str, body: bytes) -> None:
    api.body = body
    with pytest.raises(ClusterUnavailable, match=r"what answered is not it: .*any proxy on the way"):
        QUESTIONS[question]()


def test_a_task_asks_again_what_failed_for_a_passing_reason(
    api: Api, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("lifecycle.hooks.kubernetes.time.sleep", waited.append)
    monkeypatch.setenv("LIFECYCLE_KUBERNETES_RETRIES", "3")
    settings.cache_clear()
    api.before = [503, 429, 500]
    assert QUESTIONS["pods, from a task"]() == [{"metadata": {"name": "detector-digits-1"}}]
    assert len(waited) == 3 and waited[0] < 1 < waited[2] < 4
    api.before = [403, 200]
    with pytest.raises(ClusterError, match="may do this"):
        QUESTIONS["pods, from a task"]()
    assert len(waited) == 3, "a refusal is not asked again"


@pytest.mark.parametrize("question", ["pods, from a task", "pods, from a trigger"])
def test_pods_are_asked_for_by_the_models_labels(api: Api, question: str) -> None:
    assert QUESTIONS[question]() == [{"metadata": {"name": "detector-digits-1"}}]
    (asked,) = api.asked
    assert "/namespaces/staging/pods?" in asked and "component%3Ddigits" in asked


def test_memory_is_that_of_the_pod_that_uses_most(api: Api) -> None:
    cluster = ClusterHook("kubernetes_default")
    assert cluster.memory(TARGET.as_candidate) == 513 * 2**20
    (asked,) = api.asked
    assert "/apis/metrics.k8s.io/v1beta1/namespaces/staging/pods?" in asked and "component%3Ddigits-candidate" in asked
    api.unmeasured = True
    assert cluster.memory(TARGET.as_candidate) is None, "a pod that has just started was not measured yet"


def test_candidate_is_asked_at_its_own_address(connect: Connect) -> None:
    connect(
        "kubernetes_default",
        {"conn_type": "kubernetes"},
        SERVING_URL="https://{app}-{model}.example.com",
        CANDIDATE_URL="https://{app}-{model}-candidate.example.com",
    )
    assert endpoint(TARGET).url == "https://detector-digits.example.com"
    assert endpoint(TARGET.as_candidate).url == "https://detector-digits-candidate.example.com"
    connect("kubernetes_default", {"conn_type": "kubernetes"}, CANDIDATE_URL="")
    with pytest.raises(ClusterError, match=r"LIFECYCLE_CANDIDATE_URL is not\. Set it, or release with proof: after"):
        endpoint(TARGET.as_candidate)


@pytest.mark.parametrize("status", [403, 429, 500])
def test_rollout_keeps_its_own_words_where_the_pods_may_not_be_seen(
    api: Api, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Without permission to list pods, or while the API throttles, a failed rollout is still a failed rollout."""
    answer = api.answer

    def pods_are_refused(path: str) -> tuple[int, dict[str, Any]]:
        api.status = status if "/pods" in path else 200
        return answer(path)

    monkeypatch.setattr(api, "answer", pods_are_refused)
    trigger = ApplicationTrigger(
        kubernetes_conn_id="kubernetes_default",
        namespace="argocd",
        application=TARGET.application,
        accepted=["a" * 40],
        older=[],
        deadline=0,
        pods_namespace=TARGET.namespace,
        pods_selector=TARGET.selector,
        poll=0.1,
        refresh_interval=30,
        settle=0,
    )

    async def fired() -> dict[str, Any]:
        return dict((await anext(trigger.run())).payload)

    event = asyncio.run(fired())
    assert (event["state"], event["message"]) == ("failed", "the Application is Degraded")
    assert "the serving pods could not be asked" in event["troubles"] and str(status) in event["troubles"]
