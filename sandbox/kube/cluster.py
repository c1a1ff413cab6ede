"""Puts the parts together: store, deletion, kubelet, controllers."""

from __future__ import annotations

from pathlib import Path

from sandbox.kube.controllers.deletion import Deleter
from sandbox.kube.controllers.deployments import Deployments
from sandbox.kube.controllers.replicasets import ReplicaSets
from sandbox.kube.controllers.services import Endpoints, Proxies
from sandbox.kube.errors import ApiError, already_exists, not_found
from sandbox.kube.node.images import Images
from sandbox.kube.node.kubelet import Kubelet
from sandbox.kube.node.network import Network
from sandbox.kube.objects import kinds
from sandbox.kube.objects.defaults import quality
from sandbox.kube.objects.events import Recorder
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object, Store

FIRST_NAMESPACES = ("default", "kube-system")


class Cluster:
    """A whole small cluster. Make it inside a running event loop; ``close`` ends every container."""

    def __init__(self, root: Path, images: Images, backoff: float) -> None:
        self.store = Store()
        self.network = Network()
        self.recorder = Recorder(self.store)
        self.deleter = Deleter(self.store)
        # In this order: a service must have lost a pod before anything else reacts to the pod's end.
        self.proxies = Proxies(self.store, self.recorder, self.network)
        self.endpoints = Endpoints(self.store, self.recorder)
        self.kubelet = Kubelet(self.store, self.recorder, self.network, images, root, backoff)
        self.controllers = [
            self.proxies,
            self.endpoints,
            ReplicaSets(self.store, self.recorder, self.deleter),
            Deployments(self.store, self.recorder),
        ]
        for name in FIRST_NAMESPACES:
            self.create(kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def create(self, kind: Kind, obj: Object, *, dry: bool = False) -> Object:
        """Store an admitted object. Raises ApiError 404 (no such namespace), 403 (it is being deleted) or 409."""
        meta = obj["metadata"]
        if kind.namespaced:
            self._check_namespace(kind, meta)
        obj = _begun(kind, obj)
        if dry:
            if self.store.find(kind, meta.get("namespace", ""), meta["name"]):
                raise already_exists(kind.plural, kind.group, meta["name"])
            return obj
        if kind == kinds.SERVICE:
            obj = self._with_address(obj)
        created = self.store.create(kind, obj)
        if kind == kinds.NAMESPACE:
            account = {"name": "default", "namespace": meta["name"]}
            self.store.create(
                kinds.SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
            )
        return created

    def _with_address(self, service: Object) -> Object:
        meta, spec = service["metadata"], service["spec"]
        if self.store.find(kinds.SERVICE, meta["namespace"], meta["name"]):
            raise already_exists("services", "", meta["name"])
        address = self.network.service(spec.get("clusterIP"))
        return {**service, "spec": {**spec, "clusterIP": address, "clusterIPs": [address]}}

    def _check_namespace(self, kind: Kind, meta: Object) -> None:
        namespace = self.store.find(kinds.NAMESPACE, "", meta["namespace"])
        if namespace is None:
            raise not_found("namespaces", "", meta["namespace"])
        if "deletionTimestamp" in namespace["metadata"]:
            raise ApiError(
                403,
                f'{kind.plural} "{meta["name"]}" is forbidden: unable to create new content in namespace '
                f"{meta['namespace']} because it is being terminated",
            )

    async def close(self) -> None:
        """End every container and give the network back."""
        for controller in self.controllers:
            controller.close()
        await self.kubelet.close()
        self.network.close()


def _begun(kind: Kind, obj: Object) -> Object:
    """A new object with the status that it begins with."""
    if kind == kinds.NAMESPACE:
        meta = obj["metadata"]
        labels = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
        spec = {"finalizers": ["kubernetes"]}
        return {**obj, "metadata": {**meta, "labels": labels}, "spec": spec, "status": {"phase": "Active"}}
    if kind == kinds.CLAIM:
        return {**obj, "status": {"phase": "Pending"}}
    if kind == kinds.POD:
        return {**obj, "status": {"phase": "Pending", "qosClass": quality(obj["spec"])}}
    if kind == kinds.SERVICE:
        return {**obj, "status": {"loadBalancer": {}}}
    return {**obj, "status": {}} if kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET) else obj
