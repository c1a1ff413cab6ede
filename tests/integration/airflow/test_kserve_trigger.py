"""`wait_for_rollout` where KServe runs the servers, on the sandbox's API with Deployments as KServe makes them.

Nothing here is KServe's controller: the test writes what it would make of an InferenceService (labels of pods), and
the InferenceService says Ready=True all the while, as the real one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.airflow.servers import Kube
from tests.integration.airflow.test_application_trigger import WANTED, apply, fire, kube, no_application

__all__ = ["kube", "no_application"]

SERVICE, NAMESPACE = "detector-kserve", "staging"
SELECTOR = "app.kubernetes.io/instance=detector,app.kubernetes.io/component=digits"
RESOURCES = [{"group": "serving.kserve.io", "version": "v1beta1", "kind": "InferenceService", "name": SERVICE}]


def serve(kube: Kube, pin: str, script: str, *, follows: bool = True) -> None:
    """Have the InferenceService name a pin, and (`follows`) its Deployment run it."""
    labels = {"pin.yolo-lifecycle/digits": pin}
    meta = {"namespace": NAMESPACE, "labels": {"app.kubernetes.io/instance": "detector"}}
    isvc = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": SERVICE, **meta},
        "spec": {"predictor": {"labels": labels}},
    }
    kube.apply("inferenceservices", isvc)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    path = f"apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices/{SERVICE}/status"
    kube.request("PATCH", path, ready, "application/merge-patch+json")
    if follows:
        kube.apply("deployments", predictor(labels, script))


def predictor(labels: dict[str, str], script: str) -> dict[str, Any]:
    own = {"serving.kserve.io/inferenceservice": SERVICE, "app.kubernetes.io/instance": "detector"}
    image = "ghcr.io/your-org/yolo-trainer:1"
    container = {"name": "kserve-container", "image": image, "command": ["python", "-c", script]}
    # Without one a container is ready while its program starts, which takes a busy machine a while, and then ends.
    probe = {"exec": {"command": ["true" if script == RUNS else "false"]}, "periodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{SERVICE}-predictor", "namespace": NAMESPACE, "labels": own},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": f"isvc.{SERVICE}-predictor"}},
            "template": {
                "metadata": {"labels": {**own, **labels, "app": f"isvc.{SERVICE}-predictor"}},
                "spec": {"containers": [{**container, "readinessProbe": probe}], "terminationGracePeriodSeconds": 1},
            },
        },
    }


RUNS = "import time; time.sleep(600)"
ENDS = "open('/dev/termination-log', 'w').write('digits is not ready: no detector'); raise SystemExit(3)"


@pytest.fixture(autouse=True)
def gone(kube: Kube) -> Iterator[None]:
    yield
    for path in (f"apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SERVICE}-predictor",
                 f"apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices/{SERVICE}"):  # fmt: skip
        kube.request("DELETE", path)


def test_a_version_is_live_when_its_pods_are_and_a_bad_one_is_told_by_their_words(kube: Kube) -> None:
    """Argo CD calls the Application healthy from the first moment on, and the InferenceService itself ready."""
    apply(kube, WANTED, resources=RESOURCES)
    serve(kube, "3-aaaaaaaa-1", RUNS)
    arguments: dict[str, Any] = {"pods_selector": SELECTOR, "pods_namespace": NAMESPACE}
    assert fire(60, version=3, **arguments)["state"] == "ready"

    # KServe has not followed yet: the old pod serves, and all of Argo CD and KServe say that this is the wanted one.
    serve(kube, "4-bbbbbbbb-1", ENDS, follows=False)
    event = fire(1, version=4, **arguments)
    assert event["state"] == "timeout" and "version 4-bbbbbbbb-1 has no Deployment yet" in event["message"], event

    serve(kube, "4-bbbbbbbb-1", ENDS)
    event = fire(90, version=4, **arguments)
    assert event["state"] == "crashing", event
    assert "digits is not ready: no detector" in event["troubles"]

    # Back: the former pin arrives, or the run hears that it did not.
    serve(kube, "3-aaaaaaaa-2", RUNS)
    assert fire(60, version=3, **arguments)["state"] == "ready"
