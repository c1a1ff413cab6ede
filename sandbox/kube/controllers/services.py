"""Services: EndpointSlices from the pods that a selector finds, and a proxy for each port of each service."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.kube.controllers.controller import Controller, controlled, owner_reference, short_hash
from sandbox.kube.controllers.proxy import Backend, PortProxy
from sandbox.kube.controllers.replicasets import ready_since
from sandbox.kube.node.network import Network
from sandbox.kube.objects import kinds
from sandbox.kube.objects.events import Recorder
from sandbox.kube.objects.selectors import labels_match
from sandbox.kube.objects.store import Change, Object, Store

SERVICE_NAME = "kubernetes.io/service-name"


class Endpoints(Controller):
    """Keeps the EndpointSlices of every service with a selector."""

    def changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == kinds.SERVICE:
            self.enqueue((meta["namespace"], meta["name"]))
        elif change.kind == kinds.POD:
            for service in self.store.list(kinds.SERVICE, meta["namespace"]):
                if _selects(service, change.object) or (change.former and _selects(service, change.former)):
                    # At once, not queued: a pod that ends must have left before its containers hear of it.
                    self.sync(meta["namespace"], service["metadata"]["name"])

    def sync(self, namespace: str, name: str) -> None:
        service = self.store.find(kinds.SERVICE, namespace, name)
        if service is None or "deletionTimestamp" in service["metadata"] or not service["spec"].get("selector"):
            return
        # Pods may map a named port to different numbers: one slice for each set of numbers.
        groups: dict[str, tuple[list[Object], list[Object]]] = {}
        for pod in self.store.list(kinds.POD, namespace):
            status = pod.get("status") or {}
            if _selects(service, pod) and status.get("podIP") and status.get("phase") not in ("Succeeded", "Failed"):
                ports = _ports(service, pod)
                groups.setdefault(short_hash(ports, 5), (ports, []))[1].append(_endpoint(pod))
        former = {item["metadata"]["name"] for item in controlled(self.store, kinds.ENDPOINT_SLICE, service)}
        for suffix, (ports, endpoints) in groups.items():
            self._write(service, f"{name}-{suffix}", ports, endpoints)
        for gone in former - {f"{name}-{suffix}" for suffix in groups}:
            self.store.remove(kinds.ENDPOINT_SLICE, namespace, gone)

    def _write(self, service: Object, name: str, ports: list[Object], endpoints: list[Object]) -> None:
        namespace = service["metadata"]["namespace"]
        content: Object = {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}
        current = self.store.find(kinds.ENDPOINT_SLICE, namespace, name)
        if current:
            self.store.put(kinds.ENDPOINT_SLICE, {**current, **content})
            return
        labels = {
            **(service["metadata"].get("labels") or {}),
            SERVICE_NAME: service["metadata"]["name"],
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        meta = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner_reference(service)]}
        self.store.create(
            kinds.ENDPOINT_SLICE,
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, **content},
        )


class Proxies(Controller):
    """Keeps a listener for every service port that has a ready endpoint, as kube-proxy would."""

    def __init__(self, store: Store, recorder: Recorder, network: Network) -> None:
        super().__init__(store, recorder)
        self.network = network
        self._proxies: dict[tuple[str, str, int], PortProxy] = {}

    def changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == kinds.SERVICE:
            if change.type == "DELETED":
                self.network.release_service(change.object["spec"]["clusterIP"])
            self.sync(meta["namespace"], meta["name"])
        elif change.kind == kinds.ENDPOINT_SLICE and SERVICE_NAME in meta.get("labels", {}):
            self.sync(meta["namespace"], meta["labels"][SERVICE_NAME])

    def sync(self, namespace: str, name: str) -> None:
        service = self.store.find(kinds.SERVICE, namespace, name)
        ports = {} if service is None else {port["port"]: port for port in service["spec"]["ports"]}
        for key in [key for key in self._proxies if key[:2] == (namespace, name) and key[2] not in ports]:
            self._proxies.pop(key).update([])
        if service is None:
            return
        for number, port in ports.items():
            key = (namespace, name, number)
            if key not in self._proxies:
                self._proxies[key] = PortProxy(service["spec"]["clusterIP"], number, self._failed(service))
            self._proxies[key].update(self._backends(service, port))

    def _failed(self, service: Object) -> Callable[[str], None]:
        def record(message: str) -> None:
            self.recorder.record(service, "Warning", "FailedToListen", message, component="kube-proxy")

        return record

    def _backends(self, service: Object, port: Object) -> list[Backend]:
        meta = service["metadata"]
        found = []
        for item in self.store.list(kinds.ENDPOINT_SLICE, meta["namespace"]):
            if item["metadata"].get("labels", {}).get(SERVICE_NAME) != meta["name"]:
                continue
            number = next(
                (p["port"] for p in item.get("ports") or [] if p.get("name", "") == port.get("name", "")), None
            )
            if number is not None:
                ready = [e for e in item.get("endpoints") or [] if (e.get("conditions") or {}).get("ready", True)]
                found += [(address, number) for endpoint in ready for address in endpoint["addresses"]]
        return found

    def close(self) -> None:
        super().close()
        for proxy in self._proxies.values():
            proxy.close()


def _selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and labels_match(
        [(k, "in", (v,)) for k, v in selector.items()], pod["metadata"].get("labels")
    )


def _ports(service: Object, pod: Object) -> list[Object]:
    """The service's ports as this pod has them; a named target that the pod does not declare is left out."""
    named = {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if "name" in port
    }
    result = []
    for port in service["spec"]["ports"]:
        target = port["targetPort"]
        number = named.get(target) if isinstance(target, str) else target
        if number is not None:
            result.append({"name": port.get("name", ""), "port": number, "protocol": "TCP"})
    return result


def _endpoint(pod: Object) -> Object:
    meta = pod["metadata"]
    ready, terminating = ready_since(pod) is not None, "deletionTimestamp" in meta
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not terminating, "serving": ready, "terminating": terminating},
        "nodeName": "sandbox",
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    }
