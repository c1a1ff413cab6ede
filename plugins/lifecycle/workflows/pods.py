"""The templates of a workflow that are pods: those of the trainer's image, and those of the steps' own."""

from __future__ import annotations

import json
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from lifecycle.model import names
from lifecycle.settings import Settings
from lifecycle.trainer_pods import (
    JSON_OPTIONS,
    LIMIT,
    TEXT_OPTIONS,
    WORKSPACE,
    container_security,
    placement,
    resources,
    volume_mounts,
)

Template = dict[str, Any]
OUTPUTS = "/tmp/outputs"
RESULTS = f"{WORKSPACE}/workflows/{{{{workflow.name}}}}"
QUICK = 600  # seconds of a step that asks servers and computes nothing
# What each command leaves in the folder of --outputs, besides `continue` of the steps: docs/contracts.md.
TRAINER_OUTPUTS = {
    "prepare": ("dataset_digest",),
    "train": ("model_uri", "sha256"),
    "evaluate": ("figures",),
}
STEP_OUTPUTS = {
    "open": ("run_id", "live_version"),
    "register": ("version",),
    "promote": ("commit",),
    "wait": ("commit",),
    "verify": ("url", "grpc_url"),
}
CLIENT = "client"
# Steps after which nothing may be left to do.
MAY_SKIP = ("changes", "gate", "promote", "wait")


def plain(value: Any) -> Any:
    """An object of Kubernetes' client as YAML has it."""
    return ApiClient().sanitize_for_serialization(value)


def trainer(settings: Settings, step: str) -> Template:
    """The template of `prepare`, `train` or `evaluate`."""
    options = [f"--{name.replace('_', '-')}={{{{workflow.parameters.{name}}}}}" for name in TEXT_OPTIONS + JSON_OPTIONS]
    where = placement(settings, step)
    variables = {"MLFLOW_RUN_ID": "{{inputs.parameters.run_id}}", "YOLO_WEIGHTS_URL": settings.weights_url}
    return {
        "name": step,
        "inputs": {"parameters": [{"name": "run_id"}, {"name": "live_version"}]},
        "outputs": _outputs(TRAINER_OUTPUTS[step]),
        "metadata": _metadata(settings, "yolo-trainer", step),
        "retryStrategy": _retries(settings),
        "activeDeadlineSeconds": settings.train_timeout if step == "train" else LIMIT,
        **_placed(where),
        **_patch(settings, where),
        "container": {
            "image": settings.trainer_image,
            "command": ["python", "-m", "trainer", step],
            "args": [
                *options,
                "--live-version={{inputs.parameters.live_version}}",
                f"--gpus={settings.trainer_gpus}",
                f"--workspace={WORKSPACE}",
                f"--outputs={OUTPUTS}",
            ],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "envFrom": [{"secretRef": {"name": names.MLFLOW_SECRET}}],
            "resources": plain(resources(settings, step)),
            "securityContext": plain(container_security()),
            "volumeMounts": plain(volume_mounts()),
        },
    }


def step(settings: Settings, name: str, arguments: list[str] | None = None, *, seconds: int = QUICK) -> Template:
    """The template of a step that `python -m lifecycle` runs; it alone has a token for the cluster."""
    security = plain(container_security()) | {"readOnlyRootFilesystem": True}
    return {
        "name": name,
        "outputs": _outputs((*(("continue",) if name in MAY_SKIP else ()), *STEP_OUTPUTS.get(name, ()))),
        "metadata": _metadata(settings, "lifecycle", name),
        "retryStrategy": _retries(settings),
        "activeDeadlineSeconds": seconds,
        "serviceAccountName": settings.workflow_account,
        "automountServiceAccountToken": True,
        # It mounts the workspace, too.
        **_placed(placement(settings, "evaluate")),
        **_patch(settings, {}),
        "container": {
            "image": settings.workflow_image,
            "command": ["python", "-m", "lifecycle", name],
            "args": [f"--results={RESULTS}", f"--outputs={OUTPUTS}", *(arguments or [])],
            "envFrom": [
                {"configMapRef": {"name": names.SETTINGS_CONFIG}},
                {"secretRef": {"name": names.MLFLOW_SECRET}},
                # A repository that takes commits from anybody needs none.
                {"secretRef": {"name": names.GITOPS_SECRET, "optional": True}},
            ],
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
            "securityContext": security,
            "volumeMounts": [
                {"name": "workspace", "mountPath": WORKSPACE},
                {"name": "scratch", "mountPath": "/tmp"},
            ],
        },
    }


def client(settings: Settings) -> Template:
    """The template that asks the served version over gRPC, and leaves a line for each request beside the results."""
    return {
        "name": CLIENT,
        "inputs": {"parameters": [{"name": "grpc_url"}]},
        "metadata": _metadata(settings, "yolo-client", CLIENT),
        "retryStrategy": _retries(settings),
        "activeDeadlineSeconds": QUICK,
        **_placed(placement(settings, "evaluate")),
        **_patch(settings, {}),
        "container": {
            "image": settings.workflow_client_image,
            "command": ["python", "/opt/yolo-lifecycle/log_requests.py"],
            "args": [
                "--url={{inputs.parameters.grpc_url}}",
                "--model={{workflow.parameters.served_model}}",
                "--requests=200",
                f"--log={RESULTS}/requests.csv",
            ],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
            "securityContext": plain(container_security()) | {"readOnlyRootFilesystem": True},
            "volumeMounts": [{"name": "workspace", "mountPath": WORKSPACE}, {"name": "scratch", "mountPath": "/tmp"}],
        },
    }


def _retries(settings: Settings) -> dict[str, Any]:
    """As the DAG's: another try where one can help, and it cannot where the input is wrong."""
    delay = max(1, settings.retry_delay)
    return {
        "limit": "2",
        "retryPolicy": "Always",
        "expression": "asInt(lastRetry.exitCode) != 2",
        "backoff": {"duration": f"{delay}s", "factor": "2", "maxDuration": "10m"},
    }


def _outputs(found: tuple[str, ...]) -> dict[str, Any]:
    if not found:
        return {}
    return {"parameters": [{"name": name, "valueFrom": {"path": f"{OUTPUTS}/{name}"}} for name in found]}


def _metadata(settings: Settings, name: str, component: str) -> dict[str, Any]:
    labels = {names.NAME_LABEL: name, names.COMPONENT_LABEL: component, names.PART_OF_LABEL: "yolo-lifecycle"}
    given = settings.pod_template.get("metadata", {})
    return {"labels": given.get("labels", {}) | labels, "annotations": given.get("annotations", {})}


def _placed(where: dict[str, Any]) -> dict[str, Any]:
    """Where it may run, in the keys of a template."""
    keys = {"node_selector": "nodeSelector", "tolerations": "tolerations", "affinity": "affinity"}
    return {key: where[name] for name, key in keys.items() if where.get(name)}


def _patch(settings: Settings, where: dict[str, Any]) -> dict[str, Any]:
    """What a template has no key for: the runtime class, and whatever else the setting's Pod says."""
    spec = dict(settings.pod_template.get("spec", {}))
    if "containers" in spec:
        spec["containers"] = [
            each | {"name": "main"} if each.get("name") == "base" else each for each in spec["containers"]
        ]
    if where.get("runtime_class_name"):
        spec["runtimeClassName"] = where["runtime_class_name"]
    return {"podSpecPatch": json.dumps(spec, sort_keys=True)} if spec else {}


def volumes(settings: Settings) -> list[dict[str, Any]]:
    """The workflow's volumes."""
    claim = {"claimName": settings.workspace_claim}
    return [
        {"name": "workspace", "persistentVolumeClaim": claim},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
    ]


def pull_secrets(settings: Settings) -> list[dict[str, Any]]:
    """Secrets that pull the images."""
    return [plain(k8s.V1LocalObjectReference(name=name)) for name in settings.pod_image_pull_secrets]
