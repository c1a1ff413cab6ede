"""The schema of every kind: what its manifests may contain here."""

from __future__ import annotations

from sandbox.kube.objects import kinds
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.metadata import METADATA
from sandbox.kube.objects.podspec import NO_TOKEN, POD_SPEC
from sandbox.kube.objects.schema import (
    ANY,
    BOOL,
    COUNT,
    INT_OR_STR,
    NAME,
    PORT,
    POSITIVE,
    QUANTITY,
    STR,
    STR_MAP,
    Inert,
    List,
    Map,
    Obj,
    Schema,
    one,
)

_LABEL_SELECTOR = Obj(
    {
        "matchLabels": STR_MAP,
        "matchExpressions": List(
            Obj(
                {"key": STR, "operator": one("In", "NotIn", "Exists", "DoesNotExist"), "values": List(STR)},
                required=("key", "operator"),
            )
        ),
    }
)
_TEMPLATE = Obj(
    {"metadata": Obj({"labels": STR_MAP, "annotations": STR_MAP, "name": STR, "namespace": STR}), "spec": POD_SPEC},
    required=("spec",),
)
_DEPLOYMENT = Obj(
    {
        "replicas": COUNT,
        "selector": _LABEL_SELECTOR,
        "template": _TEMPLATE,
        "strategy": Obj(
            {
                "type": one("RollingUpdate", "Recreate"),
                "rollingUpdate": Obj({"maxSurge": INT_OR_STR, "maxUnavailable": INT_OR_STR}),
            }
        ),
        "minReadySeconds": COUNT,
        "revisionHistoryLimit": COUNT,
        "progressDeadlineSeconds": POSITIVE,
    },
    required=("selector", "template"),
    refused={"paused": "scale it to 0 or undo the rollout"},
)
_REPLICA_SET = Obj(
    {"replicas": COUNT, "selector": _LABEL_SELECTOR, "template": _TEMPLATE, "minReadySeconds": COUNT},
    required=("selector", "template"),
)
_SERVICE = Obj(
    {
        "type": one("ClusterIP"),
        "selector": STR_MAP,
        "clusterIP": STR,
        "clusterIPs": List(STR),
        "ports": List(
            Obj(
                {
                    "name": NAME,
                    "port": PORT,
                    "targetPort": INT_OR_STR,
                    "protocol": one("TCP"),
                    "appProtocol": Inert(STR, "connections are forwarded as bytes"),
                },
                required=("port",),
            ),
            unique="port",
            least=1,
        ),
        "internalTrafficPolicy": Inert(STR, "there is one node"),
        "ipFamilies": Inert(List(STR), "IPv4 alone"),
        "ipFamilyPolicy": Inert(STR, "IPv4 alone"),
        "sessionAffinity": one("None"),
    },
    required=("ports",),
    refused={
        "externalName": "use the address itself",
        "publishNotReadyAddresses": "only ready pods get connections",
        "loadBalancerIP": "a ClusterIP is reachable from this machine as it is",
    },
)
_CLAIM = Obj(
    {
        "accessModes": List(one("ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"), least=1),
        "resources": Inert(
            Obj({"requests": Map(QUANTITY), "limits": Map(QUANTITY)}), "a folder of the machine has no quota"
        ),
        "storageClassName": Inert(STR, "every claim is a folder below the sandbox's state"),
        "volumeMode": one("Filesystem"),
        "volumeName": STR,
    },
    required=("accessModes",),
)


def _kind(fields: dict[str, Schema], *, required: tuple[str, ...] = ()) -> Obj:
    common: dict[str, Schema] = {"apiVersion": STR, "kind": STR, "metadata": METADATA}
    return Obj({**common, **fields}, required=("metadata", *required))


SCHEMAS: dict[Kind, Obj] = {
    kinds.NAMESPACE: _kind({"spec": Obj({"finalizers": List(STR)}), "status": ANY}),
    kinds.POD: _kind({"spec": POD_SPEC, "status": ANY}, required=("spec",)),
    kinds.DEPLOYMENT: _kind({"spec": _DEPLOYMENT, "status": ANY}, required=("spec",)),
    kinds.REPLICA_SET: _kind({"spec": _REPLICA_SET, "status": ANY}, required=("spec",)),
    kinds.SERVICE: _kind({"spec": _SERVICE, "status": ANY}, required=("spec",)),
    kinds.CLAIM: _kind({"spec": _CLAIM, "status": ANY}, required=("spec",)),
    kinds.CONFIG_MAP: _kind({"data": STR_MAP, "binaryData": STR_MAP}),
    kinds.SECRET: _kind({"data": STR_MAP, "stringData": STR_MAP, "type": STR}),
    kinds.SERVICE_ACCOUNT: _kind(
        {
            "automountServiceAccountToken": Inert(BOOL, NO_TOKEN),
            "imagePullSecrets": Inert(List(ANY), "nothing is pulled"),
            "secrets": Inert(List(ANY), NO_TOKEN),
        }
    ),
}
