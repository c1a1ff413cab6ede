"""The life of a pod that serves: init containers, probes, room on the node, the way out. They run at once, too."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object
from tests.contracts.api_server.servers import ApiServer, limited
from tests.support.processes import until

pytestmark = [pytest.mark.xdist_group("api-server"), pytest.mark.controllers]
# Patience with a machine that pulls an image first.
SECONDS = 180.0
# The container tells by its log when it is told to end, and 2 s are to pass before.
PRE_STOP, GRACE = 2, 20
SERVES = """
import http.server, pathlib, signal, sys, threading, time
def told(*_):
    print('told to end', flush=True)
    sys.exit(0)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if time.monotonic() > started + (0 if self.path == '/up' else 2) else 503)
        self.end_headers()
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, told)
started = time.monotonic()
server = http.server.ThreadingHTTPServer((sys.argv[1], 8000), Handler)
print('serves', flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True: time.sleep(0.05)
"""
DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
POD_IP = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
MEMORY = {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}
MOUNTED = {"volumeMounts": [{"name": "memory", "mountPath": "/common"}]}


def probe(path: str, **more: int) -> Object:
    """A look every second."""
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1, **more}


@dataclass(frozen=True)
class Lives:
    """The pods of one namespace, by name."""

    api: Api
    namespace: str

    def pod(self, name: str) -> Object:
        return self.api.get("pods", self.namespace, name).object()

    def status(self, name: str) -> Object:
        found: Object = self.pod(name).get("status", {})
        return found

    def container(self, name: str, kind: str = "containerStatuses") -> Object:
        """The status of the last container of a kind, empty before there is one."""
        found: Object = (self.status(name).get(kind) or [{}])[-1]
        return found

    def condition(self, name: str, kind: str) -> Object:
        found = {each["type"]: each for each in self.status(name).get("conditions") or []}
        return found.get(kind, {})

    def endpoints(self, service: str) -> list[Object]:
        selector = f"kubernetes.io/service-name={service}"
        url = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        slices = self.api.ask("GET", url, labelSelector=selector).object()["items"]
        return [each for found in slices for each in found.get("endpoints") or []]

    def events(self, name: str) -> list[tuple[str, str]]:
        found = self.api.get("events", self.namespace, fieldSelector=f"involvedObject.name={name}").object()["items"]
        return [(each["reason"], each["message"]) for each in found]

    def gone(self, name: str) -> bool:
        return self.api.get("pods", self.namespace, name).status == 404

    def follow(self, name: str) -> Iterator[tuple[datetime, str]]:
        """Lines of the log with their times."""
        for line in self.api.followed(self.namespace, name, timestamps="true"):
            stamp, _, text = line.partition(" ")
            yield datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp)), text


@pytest.fixture(scope="module")
def lives(api: Api, server: ApiServer) -> Iterator[Lives]:
    """Pods of every kind, started."""
    namespace = f"contracts-{uuid.uuid4().hex[:8]}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).object()
    until("the account is there", lambda: api.get("serviceaccounts", namespace, "default").status == 200, seconds=30)

    def python(code: str, *arguments: str, **more: Any) -> Object:
        return {"name": "main", "image": server.image, "command": ["python", "-u", "-c", code, *arguments], **more}

    def start(name: str, container: Object, **spec: Any) -> None:
        body = objects.pod(name, container, **{"restartPolicy": "Never", **spec})
        body["metadata"]["labels"] = {"app": name}
        api.create("pods", namespace, body).object()

    append = "import sys; open('/common/log', 'a').write(sys.argv[1])"
    inits = [python(append, name, **MOUNTED) | {"name": name} for name in ("first", "second")]
    start("ordered", python("print(open('/common/log').read())", **MOUNTED), initContainers=inits, volumes=[MEMORY])
    broken = python("import sys; sys.exit('no code')", terminationMessagePolicy="FallbackToLogsOnError")
    start("broken", python("print('never')"), initContainers=[broken | {"name": "first"}])
    http = {"ports": [{"name": "http", "containerPort": 8000}], "env": POD_IP}
    patient = {
        "startupProbe": probe("/up", failureThreshold=60),
        "readinessProbe": probe("/"),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP)]}}},
    }
    start("serves", python(SERVES, "$(POD_IP)", **http, **patient), terminationGracePeriodSeconds=GRACE)
    never = {"startupProbe": probe("/", failureThreshold=2)}
    start(
        "unstarted",
        python("import time; time.sleep(600)", **http, **never),
        restartPolicy="Always",
        terminationGracePeriodSeconds=1,
    )
    last_words = "import sys; open(sys.argv[1], 'w').write('the reason'); sys.exit('the log')"
    start("tells", python(last_words, "/dev/termination-log"))
    start("deaf", python(DEAF), terminationGracePeriodSeconds=2)
    api.create("services", namespace, objects.service("serves", ports=[{"port": 80, "targetPort": "http"}])).object()
    yield Lives(api, namespace)
    api.delete("pods", namespace, gracePeriodSeconds=0)
    api.ask("DELETE", f"/api/v1/namespaces/{namespace}")


def test_init_containers_run_in_their_order_and_share_a_volume_in_memory(lives: Lives) -> None:
    until("it has succeeded", lambda: lives.status("ordered")["phase"] == "Succeeded", seconds=SECONDS)
    assert lives.api.get("pods", lives.namespace, "ordered", "log").text == "firstsecond\n"
    ended = [each["state"]["terminated"]["exitCode"] for each in lives.status("ordered")["initContainerStatuses"]]
    assert ended == [0, 0] and lives.condition("ordered", "Initialized")["status"] == "True"


def test_an_init_container_that_fails_keeps_the_rest_from_starting(lives: Lives) -> None:
    until("it has failed", lambda: lives.status("broken")["phase"] == "Failed", seconds=SECONDS)
    end = lives.container("broken", "initContainerStatuses")["state"]["terminated"]
    assert (end["exitCode"], end["message"].strip()) == (1, "no code")
    assert lives.container("broken")["state"]["waiting"]["reason"] == "PodInitializing"
    assert lives.condition("broken", "Initialized")["status"] == "False"


def test_what_a_container_wrote_as_its_last_words_counts_and_not_its_log(lives: Lives) -> None:
    look: Callable[[], Any] = lambda: lives.container("tells").get("state", {}).get("terminated")  # noqa: E731
    end = until("it has ended", look, seconds=SECONDS)
    assert (end["exitCode"], end["message"]) == (1, "the reason")


def test_a_container_that_never_starts_is_restarted(lives: Lives) -> None:
    until("it is restarted", lambda: lives.container("unstarted").get("restartCount", 0) >= 1, seconds=SECONDS)
    assert lives.container("unstarted")["lastState"]["terminated"]["exitCode"] != 0
    assert lives.container("unstarted").get("started") is False
    events = lives.events("unstarted")
    assert [text for reason, text in events if reason == "Unhealthy" and text.startswith("Startup probe failed: ")]
    assert ("Killing", "Container main failed startup probe, will be restarted") in events


def test_a_container_that_does_not_listen_is_killed_when_its_grace_is_over(lives: Lives) -> None:
    until("it runs", lambda: lives.api.get("pods", lives.namespace, "deaf", "log").text == "up\n", seconds=SECONDS)
    began = time.monotonic()
    lives.api.delete("pods", lives.namespace, "deaf").object()
    until("it is gone", lambda: lives.gone("deaf"), seconds=30)
    assert time.monotonic() - began >= 2


def test_a_pod_is_asked_only_while_it_is_ready_and_leaves_before_it_ends(lives: Lives) -> None:
    """A rollout without a failed request rests on this: ready late, out of the Service at once, then told to end."""
    until("it has started", lambda: lives.container("serves").get("started"), seconds=SECONDS)
    log = lives.follow("serves")
    assert next(log)[1] == "serves"

    def only() -> Object:
        found = lives.endpoints("serves")
        return found[0]["conditions"] if len(found) == 1 else {}

    # Started at the first look, ready two seconds after its own start.
    until("the Service knows that it is ready", lambda: only().get("ready"), seconds=SECONDS)
    assert lives.condition("serves", "Ready")["status"] == "True"
    ready = datetime.fromisoformat(lives.condition("serves", "Ready")["lastTransitionTime"])
    running = datetime.fromisoformat(lives.container("serves")["state"]["running"]["startedAt"])
    assert (ready - running).total_seconds() >= 1
    asked = time.monotonic()
    lives.api.delete("pods", lives.namespace, "serves").object()
    until("no client is sent there", lambda: not only().get("ready"))
    assert time.monotonic() - asked < PRE_STOP, "it still serves then"
    assert lives.container("serves")["state"].get("running")
    assert next(log)[1] == "told to end" and time.monotonic() - asked >= PRE_STOP - 0.5
    assert not list(log), "the log ends with the container"
    until("it is gone", lambda: lives.gone("serves"), seconds=30)
    assert time.monotonic() - asked < GRACE - 5, "it ended by itself"


def test_a_pod_that_asks_for_more_than_there_is_says_what_is_lacking(lives: Lives, server: ApiServer) -> None:
    with limited(server, cpu="500"):
        large = {"image": server.image, "resources": {"requests": {"cpu": "1000"}}}
        lives.api.create("pods", lives.namespace, objects.pod("large", large)).object()
        until("it waits", lambda: lives.condition("large", "PodScheduled").get("status") == "False", seconds=60)
        told = lives.condition("large", "PodScheduled")
        assert told["reason"] == "Unschedulable" and lives.status("large")["phase"] == "Pending"
        assert re.match(r"0/\d+ nodes are available: .*\bInsufficient cpu", told["message"]), told["message"]
        assert "containerStatuses" not in lives.status("large")
        lives.api.delete("pods", lives.namespace, "large").object()
        until("it is gone", lambda: lives.gone("large"), seconds=30)


@pytest.mark.real_api_server
def test_a_budget_keeps_the_last_ready_pod_from_being_evicted(lives: Lives, server: ApiServer) -> None:
    """What `kubectl drain` asks. The sandbox has one node that nobody drains, and no evictions."""
    body = objects.pod("kept", {"image": server.image, "command": ["sleep", "600"]}, terminationGracePeriodSeconds=1)
    body["metadata"]["labels"] = {"app": "kept"}
    lives.api.create("pods", lives.namespace, body).object()
    budgets = f"/apis/policy/v1/namespaces/{lives.namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}
    lives.api.ask("POST", budgets, {"metadata": {"name": "kept"}, "spec": spec}).object()

    def counted() -> Any:
        status = lives.api.ask("GET", f"{budgets}/kept").object().get("status", {})
        return status.get("currentHealthy") == 1

    until("the budget counts it", counted, seconds=SECONDS)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept"}}
    url = f"/api/v1/namespaces/{lives.namespace}/pods/kept/eviction"
    told = lives.api.ask("POST", url, eviction).refused(429, "TooManyRequests")
    assert told == "Cannot evict pod as it would violate the pod's disruption budget."
    lives.api.ask("DELETE", f"{budgets}/kept").object()
    assert lives.api.ask("POST", url, eviction).status == 201
