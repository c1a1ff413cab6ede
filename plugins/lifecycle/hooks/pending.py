"""Says in a task's log why its pod waits for a node, and what the pod asks."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback

from lifecycle.errors import LifecycleError
from lifecycle.hooks.kubernetes import answered, typed_errors
from lifecycle.policy.pods import UNSCHEDULED_SECONDS, not_fitting
from lifecycle.settings import settings

log = logging.getLogger(__name__)


class SayWhyPending(KubernetesPodOperatorCallback):
    """A callback of the KubernetesPodOperator: a minute after a pod was made, tell whether a node had room for it."""

    @staticmethod
    def on_pod_creation(*, pod: Any, client: Any, **kwargs: Any) -> None:
        """Look once, beside the operator's own waiting."""
        place = (pod.metadata.name, pod.metadata.namespace)
        timer = threading.Timer(UNSCHEDULED_SECONDS + 5, say_why_pending, (client, *place))
        timer.daemon = True
        timer.start()


def say_why_pending(client: Any, name: str, namespace: str) -> None:
    """Log why a pod has no node yet, if it has none; what the API refuses is not worth failing for."""
    action = f"read pod {name} in namespace {namespace!r}"
    try:
        with typed_errors(action):
            response = client.read_namespaced_pod(
                name, namespace, _preload_content=False, _request_timeout=settings().kubernetes_timeout
            )
        waits = not_fitting([answered(action, response.data)], time.time())
    except LifecycleError as error:
        log.debug("%s", error)
        return
    if waits:
        log.warning(
            "%s. It starts as soon as a node has room: wait for another pod to end, add a node, or ask for less "
            "(`resources` of the pipeline's file). `make cluster-check` compares what all ask for with what there is.",
            waits,
        )
