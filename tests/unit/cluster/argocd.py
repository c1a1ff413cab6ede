"""Argo CD as cluster/ sees it: Applications as it leaves them, and the finalizer that it carries out."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from cluster import up
from cluster.settings import Settings
from tests.unit.cluster.conftest import HEAD, URL
from tests.unit.cluster.front import Front

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
Object = dict[str, Any]


def application(
    name: str,
    sync: str = "Synced",
    health: str = "Healthy",
    *,
    revision: str = HEAD,
    namespace: str = "",
    **status: Any,
) -> Object:
    """An Application as Argo CD 3 leaves it: no health of its objects."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "targetRevision": "main", "path": "x"},
            "destination": {"namespace": namespace},
        },
        "status": {"sync": {"status": sync, "revision": revision}, "health": {"status": health}, **status},
    }


def operation(phase: str, **more: Any) -> Object:
    """The state of a sync."""
    return {"operation": {"sync": {}}, "phase": phase, "startedAt": "2026-11-27T01:00:00Z", **more}


def server(app: str, sync: str = "Synced", health: str = "Healthy", **more: Any) -> Object:
    """A model server's Application, as the ApplicationSet makes it."""
    found = application(app.replace("/", "-"), sync, health, **more)
    environment, _, name = app.partition("/")
    found["metadata"]["labels"] = {
        "app.kubernetes.io/part-of": "yolo-lifecycle",
        "yolo-lifecycle/environment": environment,
        "yolo-lifecycle/app": name,
    }
    return found


def argocd_did(front: Front, settings: Settings, *special: Object, without: Collection[str] = ()) -> None:
    """Play Argo CD: the Applications that the root and the ApplicationSet bring, some of them special."""
    usual = [application(name) for name in up.applications(settings)]
    usual += [server("staging/detector"), server("production/detector")]
    found = {each["metadata"]["name"]: each for each in [*usual, *special]}
    for name in set(found) - set(without):
        front.call("POST", APPLICATIONS, found[name])


@contextmanager
def finalizing(front: Front) -> Iterator[list[str]]:
    """Play Argo CD's finalizer while the context lasts; the Applications whose objects went with them."""
    ended, done = threading.Event(), list[str]()

    def play() -> None:
        while not ended.wait(0.05):
            for each in front.read(APPLICATIONS)["items"]:
                meta = each["metadata"]
                if "deletionTimestamp" in meta and meta.get("finalizers"):
                    done.append(meta["name"])
                    front.call("PATCH", f"{APPLICATIONS}/{meta['name']}", {"metadata": {"finalizers": None}})

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()
