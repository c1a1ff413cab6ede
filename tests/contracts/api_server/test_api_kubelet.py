"""What a kubelet says of pods: their ends, their reasons, their logs. They run at once, so that nobody waits twice."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object
from tests.contracts.api_server.servers import ApiServer
from tests.support.processes import until

pytestmark = [pytest.mark.xdist_group("api-server"), pytest.mark.controllers]
STAYS = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit('told to end'))\n"
    "print('up', flush=True)\nwhile True: time.sleep(0.1)"
)
LAST_WORDS = {"terminationMessagePolicy": "FallbackToLogsOnError"}
MISSING = {"name": "S", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "k"}}}
# Patience with a machine that pulls an image first.
SECONDS = 180.0


@dataclass(frozen=True)
class Pods:
    """The pods of one namespace, by name."""

    api: Api
    namespace: str

    def status(self, name: str) -> Object:
        found: Object = self.api.get("pods", self.namespace, name).object().get("status", {})
        return found

    def container(self, name: str) -> Object:
        """The status of the container, empty before there is one."""
        found: Object = (self.status(name).get("containerStatuses") or [{}])[0]
        return found

    def waits(self, name: str) -> str:
        """The reason why the container waits."""
        reason: str = self.container(name).get("state", {}).get("waiting", {}).get("reason", "")
        return reason

    def ended(self, name: str) -> Object:
        """How the container ended, once it has."""
        look: Callable[[], Any] = lambda: self.container(name).get("state", {}).get("terminated")  # noqa: E731
        found: Object = until(f"{name} has ended", look, lambda: self.status(name), SECONDS)
        return found

    def log(self, name: str, **query: Any) -> str:
        return self.api.get("pods", self.namespace, name, "log", **query).text


@pytest.fixture(scope="module")
def pods(api: Api, server: ApiServer) -> Iterator[Pods]:
    """Pods of every kind, started."""
    namespace = f"contracts-{uuid.uuid4().hex[:8]}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).object()
    until("the account is there", lambda: api.get("serviceaccounts", namespace, "default").status == 200, seconds=30)

    def start(name: str, code: str, container: Object | None = None, **spec: Any) -> None:
        body = {"image": server.image, "command": ["python", "-u", "-c", code], **LAST_WORDS, **(container or {})}
        api.create("pods", namespace, objects.pod(name, body, **{"restartPolicy": "Never", **spec})).object()

    start("stays", STAYS, terminationGracePeriodSeconds=20)
    start("works", "print('one'); print('two')")
    start("fails", "import sys; print('why it failed'); sys.exit(3)")
    start("loops", "import sys; sys.exit('looped')", restartPolicy="Always")
    start("late", "import time; time.sleep(600)", activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    start("imageless", "pass", {"image": "localhost/no-such-image:1"})
    start("secretless", "pass", {"env": [MISSING]})
    yield Pods(api, namespace)
    api.delete("pods", namespace, gracePeriodSeconds=0)
    api.ask("DELETE", f"/api/v1/namespaces/{namespace}")


def test_a_pod_that_works(pods: Pods) -> None:
    end = pods.ended("works")
    assert (end["exitCode"], end["reason"]) == (0, "Completed") and "message" not in end
    until("the pod has succeeded", lambda: pods.status("works")["phase"] == "Succeeded", seconds=30)
    assert pods.log("works") == "one\ntwo\n"
    assert pods.log("works", tailLines=1) == "two\n"
    # KubernetesPodOperator takes the time from each line.
    line = pods.log("works", container="main", timestamps="true").splitlines()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) one", line)


def test_a_pod_that_fails_has_last_words(pods: Pods) -> None:
    end = pods.ended("fails")
    assert (end["exitCode"], end["reason"], end["message"].strip()) == (3, "Error", "why it failed")
    until("the pod has failed", lambda: pods.status("fails")["phase"] == "Failed", seconds=30)
    selector = "involvedObject.name=fails,involvedObject.kind=Pod"
    events = pods.api.get("events", pods.namespace, fieldSelector=selector).object()["items"]
    assert {"Created", "Started"} <= {event["reason"] for event in events}


def test_a_container_that_ends_again_and_again_says_so(pods: Pods) -> None:
    # By this a rollout fails long before its deadline.
    until("it was restarted", lambda: pods.container("loops").get("restartCount", 0) >= 1, seconds=SECONDS)
    assert pods.container("loops")["lastState"]["terminated"]["exitCode"] == 1
    until("it waits to be restarted", lambda: pods.waits("loops") == "CrashLoopBackOff", seconds=60)
    assert pods.status("loops")["phase"] == "Running", "the pod itself has not failed"
    assert pods.log("loops", previous="true") == "looped\n"


def test_a_pod_that_takes_too_long(pods: Pods) -> None:
    until("it has failed", lambda: pods.status("late")["phase"] == "Failed", seconds=SECONDS)
    assert pods.status("late")["reason"] == "DeadlineExceeded"


def test_a_container_that_cannot_start(pods: Pods) -> None:
    reasons = ("ErrImagePull", "ImagePullBackOff")
    until("it tells of the image", lambda: pods.waits("imageless") in reasons, seconds=SECONDS)
    until("it tells of the Secret", lambda: pods.waits("secretless") == "CreateContainerConfigError", seconds=SECONDS)
    assert 'secret "no-such-secret" not found' in pods.container("secretless")["state"]["waiting"]["message"]
    for name in ("imageless", "secretless"):
        assert pods.status(name)["phase"] == "Pending"
        told = pods.api.get("pods", pods.namespace, name, "log").refused(400, "BadRequest")
        assert f'container "main" in pod "{name}" is waiting to start' in told


def test_a_pod_that_is_told_to_end(pods: Pods) -> None:
    until("it runs", lambda: pods.log("stays") == "up\n", seconds=SECONDS)
    ready = {each["type"]: each["status"] for each in pods.status("stays")["conditions"]}
    assert (ready["PodScheduled"], ready["Ready"]) == ("True", "True") and pods.status("stays")["podIP"]
    meta = pods.api.delete("pods", pods.namespace, "stays").meta
    assert meta["deletionGracePeriodSeconds"] == 20
    until("it is gone", lambda: pods.api.get("pods", pods.namespace, "stays").status == 404, seconds=40)
