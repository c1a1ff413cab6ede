"""What a pod's specification may contain here. `Inert` marks what is accepted without effect; the rest is refused."""

from __future__ import annotations

from sandbox.kube.objects.schema import (
    ANY,
    BOOL,
    COUNT,
    INT,
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
    one,
)

_NO_LIMIT = "no cgroup: a process may use the whole machine; readable through resourceFieldRef"
_NO_USERS = "every container runs as the user of the sandbox"
_ONE_NODE = "there is one node"
_NO_PULL = "an image is a virtual environment (sandbox/images.yaml); nothing is pulled"
_NO_MODES = "a container is a local process and sees the real folder, writable"
NO_TOKEN = "no token is mounted; there is no service account authorisation"  # noqa: S105 (says that there is none)

KEY_REF = Obj({"name": NAME, "key": STR, "optional": BOOL}, required=("name", "key"))
FIELD_REF = Obj({"apiVersion": one("v1"), "fieldPath": STR}, required=("fieldPath",))
RESOURCE_REF = Obj({"containerName": STR, "resource": STR, "divisor": QUANTITY}, required=("resource",))
ENV = Obj(
    {
        "name": STR,
        "value": STR,
        "valueFrom": Obj(
            {
                "secretKeyRef": KEY_REF,
                "configMapKeyRef": KEY_REF,
                "fieldRef": FIELD_REF,
                "resourceFieldRef": RESOURCE_REF,
            },
            one_of=("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef"),
        ),
    },
    required=("name",),
)
_WHOLE_REF = Obj({"name": NAME, "optional": BOOL}, required=("name",))
ENV_FROM = Obj(
    {"prefix": STR, "secretRef": _WHOLE_REF, "configMapRef": _WHOLE_REF}, one_of=("secretRef", "configMapRef")
)
EXEC = Obj({"command": List(STR, least=1)}, required=("command",))
HTTP_GET = Obj(
    {
        "path": STR,
        "port": INT_OR_STR,
        "scheme": one("HTTP"),
        "httpHeaders": List(Obj({"name": STR, "value": STR}, required=("name", "value"))),
    },
    required=("port",),
    refused={"host": "probes go to the pod's own address"},
)
PROBE = Obj(
    {
        "httpGet": HTTP_GET,
        "tcpSocket": Obj({"port": INT_OR_STR}, required=("port",)),
        "exec": EXEC,
        "initialDelaySeconds": COUNT,
        "periodSeconds": POSITIVE,
        "timeoutSeconds": POSITIVE,
        "successThreshold": POSITIVE,
        "failureThreshold": POSITIVE,
    },
    one_of=("httpGet", "tcpSocket", "exec"),
    refused={"grpc": "use httpGet, tcpSocket or exec", "terminationGracePeriodSeconds": "set the pod's"},
)
LIFECYCLE = Obj(
    {
        "preStop": Obj(
            {"exec": EXEC, "httpGet": HTTP_GET, "sleep": Obj({"seconds": COUNT}, required=("seconds",))},
            one_of=("exec", "httpGet", "sleep"),
        )
    },
    refused={"postStart": "do it in the command"},
)
MOUNT = Obj(
    {"name": NAME, "mountPath": STR, "subPath": STR, "readOnly": Inert(BOOL, _NO_MODES)},
    required=("name", "mountPath"),
)
CONTAINER_FIELDS = {
    "name": NAME,
    "image": STR,
    "command": List(STR),
    "args": List(STR),
    "workingDir": STR,
    "env": List(ENV),
    "envFrom": List(ENV_FROM),
    "ports": List(
        Obj({"name": NAME, "containerPort": PORT, "protocol": one("TCP")}, required=("containerPort",)), unique="name"
    ),
    "volumeMounts": List(MOUNT),
    "startupProbe": PROBE,
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "lifecycle": LIFECYCLE,
    "terminationMessagePolicy": one("File", "FallbackToLogsOnError"),
    "terminationMessagePath": STR,
    "imagePullPolicy": Inert(one("Always", "IfNotPresent", "Never"), _NO_PULL),
    "resources": Inert(Obj({"requests": Map(QUANTITY), "limits": Map(QUANTITY)}), _NO_LIMIT),
    "securityContext": Inert(ANY, _NO_USERS),
}
_CONTAINER_REFUSED = {
    "restartPolicy": "a sidecar goes among the containers",
    "stdin": "a container here reads nothing",
    "tty": "a container here has no terminal",
}
CONTAINER = Obj(CONTAINER_FIELDS, required=("name", "image"), refused=_CONTAINER_REFUSED)
INIT_CONTAINER = Obj(
    {
        k: v
        for k, v in CONTAINER_FIELDS.items()
        if k not in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle")
    },
    required=("name", "image"),
    refused=_CONTAINER_REFUSED,
)
_ITEMS = List(Obj({"key": STR, "path": STR, "mode": INT}, required=("key", "path")))
_DOWNWARD = List(Obj({"path": STR, "fieldRef": FIELD_REF}, required=("path", "fieldRef")))
VOLUME = Obj(
    {
        "name": NAME,
        "emptyDir": Obj({"medium": one("", "Memory"), "sizeLimit": Inert(QUANTITY, _NO_LIMIT)}),
        "configMap": Obj({"name": NAME, "items": _ITEMS, "optional": BOOL, "defaultMode": INT}, required=("name",)),
        "secret": Obj(
            {"secretName": NAME, "items": _ITEMS, "optional": BOOL, "defaultMode": INT}, required=("secretName",)
        ),
        "persistentVolumeClaim": Obj({"claimName": NAME, "readOnly": Inert(BOOL, _NO_MODES)}, required=("claimName",)),
        "downwardAPI": Obj({"items": _DOWNWARD, "defaultMode": INT}),
    },
    required=("name",),
    refused={"hostPath": "use a persistentVolumeClaim", "projected": "mount its sources as volumes of their own"},
)
POD_SPEC = Obj(
    {
        "containers": List(CONTAINER, unique="name", least=1),
        "initContainers": List(INIT_CONTAINER, unique="name"),
        "volumes": List(VOLUME, unique="name"),
        "restartPolicy": one("Always", "OnFailure", "Never"),
        "terminationGracePeriodSeconds": COUNT,
        "activeDeadlineSeconds": POSITIVE,
        "serviceAccountName": STR,
        "serviceAccount": STR,
        "nodeName": one("sandbox"),
        "nodeSelector": Inert(STR_MAP, _ONE_NODE),
        "affinity": Inert(ANY, _ONE_NODE),
        "tolerations": Inert(List(ANY), _ONE_NODE),
        "topologySpreadConstraints": Inert(List(ANY), _ONE_NODE),
        "schedulerName": Inert(STR, _ONE_NODE),
        "priorityClassName": Inert(STR, _ONE_NODE),
        "priority": Inert(INT, _ONE_NODE),
        "preemptionPolicy": Inert(STR, _ONE_NODE),
        "securityContext": Inert(ANY, _NO_USERS),
        "imagePullSecrets": Inert(List(ANY), _NO_PULL),
        "automountServiceAccountToken": Inert(BOOL, NO_TOKEN),
        "dnsPolicy": Inert(STR, "names resolve as on the machine; there is no cluster DNS"),
        "enableServiceLinks": Inert(BOOL, "service environment variables are never set"),
    },
    required=("containers",),
    refused={
        "hostNetwork": "a pod has an address of its own in 127.0.0.0/8",
        "runtimeClassName": "containers are local processes",
        "shareProcessNamespace": "containers are local processes",
    },
)
