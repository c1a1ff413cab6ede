"""Deployments and Services: rollouts as a client of the service sees them."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from sandbox.tests.support.kube import deployment, eventually, service

ZERO_GAP = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def ask(address: str) -> str:
    """What the service answers; raises OSError."""
    with urllib.request.urlopen(f"http://{address}:8000/index.html", timeout=5) as answer:
        return str(answer.read().decode().strip())


class Asker(threading.Thread):
    """Asks again and again, on a new connection each time, until it is told to stop."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._stop_asking = threading.Event()

    def run(self) -> None:
        while not self._stop_asking.is_set():
            try:
                self.answers.append(ask(self.address))
            except OSError as error:
                self.failures.append(str(error))
            time.sleep(0.01)

    def finish(self) -> None:
        """Stop and wait."""
        self._stop_asking.set()
        self.join(timeout=10)


def complete(apps: client.AppsV1Api, namespace: str, name: str) -> bool:
    found = apps.read_namespaced_deployment(name, namespace)
    status, wanted = found.status, found.spec.replicas
    counts = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
    return status.observed_generation == found.metadata.generation and counts == (wanted,) * 4


def condition(apps: client.AppsV1Api, namespace: str, name: str, type_: str) -> Any:
    conditions = apps.read_namespaced_deployment(name, namespace).status.conditions or []
    return next((c for c in conditions if c.type == type_), None)


def created(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str, **spec: Any) -> str:
    """A complete deployment `web` of version v1 behind a service; the service's address."""
    apps.create_namespaced_deployment(namespace, deployment("web", "v1", **spec))
    address = core.create_namespaced_service(namespace, service("web")).spec.cluster_ip
    eventually(lambda: complete(apps, namespace, "web"), "the first rollout")
    return str(address)


def test_rolling_update_loses_no_request(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    pre_stop = {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}
    address = created(core, apps, namespace, replicas=2, strategy=ZERO_GAP, container=pre_stop)
    asker = Asker(address)
    asker.start()
    try:
        body = deployment("web", "v2", replicas=2, strategy=ZERO_GAP, container=pre_stop)
        apps.replace_namespaced_deployment("web", namespace, body)
        eventually(lambda: complete(apps, namespace, "web"), "the second rollout", 30)
        eventually(lambda: len(core.list_namespaced_pod(namespace).items) == 2, "the end of the old pods")
    finally:
        asker.finish()
    assert asker.failures == []
    assert asker.answers[0] == "v1" and asker.answers[-1] == "v2" and len(asker.answers) > 50
    sets = apps.list_namespaced_replica_set(namespace).items
    revision = "deployment.kubernetes.io/revision"
    assert sorted((s.metadata.annotations[revision], s.spec.replicas) for s in sets) == [("1", 0), ("2", 2)]
    assert condition(apps, namespace, "web", "Progressing").reason == "NewReplicaSetAvailable"


def test_version_that_never_gets_ready_leaves_the_old_one_serving(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    address = created(core, apps, namespace, strategy=ZERO_GAP)
    probe = {"readinessProbe": {"httpGet": {"path": "/no-such-file", "port": "http"}, "periodSeconds": 1}}
    body = deployment("web", "v2", strategy=ZERO_GAP, container=probe, progressDeadlineSeconds=2)
    apps.replace_namespaced_deployment("web", namespace, body)

    def late() -> bool:
        found = condition(apps, namespace, "web", "Progressing")
        return bool(found.status == "False" and found.reason == "ProgressDeadlineExceeded")

    eventually(late, "ProgressDeadlineExceeded")
    assert condition(apps, namespace, "web", "Available").status == "True"
    assert {ask(address) for _ in range(6)} == {"v1"}
    events = core.list_namespaced_event(namespace, field_selector="reason=Unhealthy").items
    assert any("statuscode: 404" in event.message for event in events)
    # Going back to the first template reuses its ReplicaSet.
    apps.replace_namespaced_deployment("web", namespace, deployment("web", "v1", strategy=ZERO_GAP))
    eventually(lambda: complete(apps, namespace, "web"), "the way back")
    assert len(apps.list_namespaced_replica_set(namespace).items) == 2


def test_recreate_never_runs_two_versions(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    created(core, apps, namespace, strategy={"type": "Recreate"})
    apps.replace_namespaced_deployment("web", namespace, deployment("web", "v2", strategy={"type": "Recreate"}))
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, len(core.list_namespaced_pod(namespace).items))
        return complete(apps, namespace, "web")

    eventually(done, "the second version")
    assert most == 1


def test_min_ready_seconds_delay_availability(apps: client.AppsV1Api, namespace: str) -> None:
    """Condition times are whole seconds, here as on a cluster, so the delay may be up to a second shorter."""
    seen: list[tuple[Any, Any]] = []

    def available() -> bool:
        status = apps.read_namespaced_deployment("web", namespace).status
        seen.append((status.ready_replicas, status.available_replicas))
        return bool(status.available_replicas)

    apps.create_namespaced_deployment(namespace, deployment("web", "v1", minReadySeconds=2))
    eventually(available, "the delayed availability")
    assert (1, None) in seen
    assert seen[-1] == (1, 1)


def test_service_balances_over_ready_pods_alone(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    switchable = (
        "import http.server, sys, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    off = False\n"
        "    def do_GET(self):\n"
        "        H.off = H.off or self.path == '/off'\n"
        "        self.send_response(503 if H.off and self.path == '/ready' else 200); self.end_headers()\n"
        "        self.wfile.write(os.environ['HOSTNAME'].encode())\n"
        "http.server.ThreadingHTTPServer((sys.argv[1], 8000), H).serve_forever()"
    )
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"command": ["python", "-c", switchable, "$(POD_IP)"], "readinessProbe": probe}
    address = created(core, apps, namespace, replicas=2, container=container)
    first, second = (pod.metadata.name for pod in core.list_namespaced_pod(namespace).items)
    # Round robin: each new connection goes to the next one.
    assert {ask(address), ask(address)} == {first, second}
    off = core.read_namespaced_pod(first, namespace).status.pod_ip
    urllib.request.urlopen(f"http://{off}:8000/off", timeout=5).close()
    eventually(lambda: {ask(address) for _ in range(4)} == {second}, "answers of the ready pod alone")
    core.delete_namespaced_service("web", namespace)
    with pytest.raises(urllib.error.URLError, match="refused"):
        ask(address)


def test_service_without_ready_pods_refuses_connections(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    address = created(core, apps, namespace)
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 0}})
    eventually(lambda: not core.list_namespaced_pod(namespace).items, "the end of the pods")
    with pytest.raises(urllib.error.URLError, match="refused"):
        ask(address)


def test_established_connection_survives_the_end_of_its_endpoint(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    """A pod that is ending gets no new connection, and finishes what it has begun to answer."""
    slow = (
        "import http.server, sys, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'begun '); self.wfile.flush()\n"
        "        time.sleep(0 if self.path == '/' else 2); self.wfile.write(b'ended')\n"
        "http.server.ThreadingHTTPServer((sys.argv[1], 8000), H).serve_forever()"
    )
    container = {
        "command": ["python", "-c", slow, "$(POD_IP)"],
        "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
    }
    address = created(core, apps, namespace, container=container, pod={"terminationGracePeriodSeconds": 8})
    with urllib.request.urlopen(f"http://{address}:8000/slow", timeout=10) as answer:
        assert answer.read(6) == b"begun "
        pod = core.list_namespaced_pod(namespace).items[0].metadata.name
        apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 0}})
        eventually(lambda: core.read_namespaced_pod(pod, namespace).metadata.deletion_timestamp, "the deletion")
        # Reset rather than refused when it comes in the moment in which the listener closes.
        with pytest.raises((urllib.error.URLError, ConnectionResetError)):
            ask(address)
        assert answer.read() == b"ended"
    core.delete_namespaced_pod(pod, namespace, grace_period_seconds=0)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_deleting_a_deployment_takes_all_it_owns(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str, propagation: str
) -> None:
    created(core, apps, namespace, replicas=2)
    apps.delete_namespaced_deployment("web", namespace, propagation_policy=propagation)
    eventually(lambda: not core.list_namespaced_pod(namespace).items, "the end of the pods")
    assert not apps.list_namespaced_replica_set(namespace).items
    with pytest.raises(ApiException) as caught:
        apps.read_namespaced_deployment("web", namespace)
    assert caught.value.status == 404


def test_selector_is_immutable_and_must_match(apps: client.AppsV1Api, namespace: str) -> None:
    body = deployment("web", "v1", replicas=0)
    apps.create_namespaced_deployment(namespace, body)
    body["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    with pytest.raises(ApiException, match="does not match template"):
        apps.replace_namespaced_deployment("web", namespace, body)
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(ApiException, match="field is immutable"):
        apps.replace_namespaced_deployment("web", namespace, body)
