"""What a pod of the trainer is made of, whoever starts it: Airflow's KubernetesPodOperator, or a workflow."""

from __future__ import annotations

from typing import Any

from kubernetes.client import models as k8s

from lifecycle.settings import Settings

WORKSPACE = "/workspace"
# The user of the image; the workspace is made writable for its group.
USER = 1000
LIMIT = 6 * 3600  # seconds for prepare and evaluate
# The params that every step of the trainer takes as options: as they are, and as JSON.
TEXT_OPTIONS = ("dataset", "model", "epochs", "image_size", "batch", "seed", "device", "registered_model")
JSON_OPTIONS = ("hyperparameters",)


def placement(settings: Settings, step: str) -> dict[str, Any]:
    """Where a pod may run. The other steps follow `train`, unless any node can mount the workspace."""
    if step != "train" and (settings.workspace_access == "ReadWriteMany" or not settings.workspace_claim):
        return {}
    return {
        "node_selector": settings.pod_node_selector,
        "tolerations": settings.pod_tolerations,
        "affinity": settings.pod_affinity or None,
        "runtime_class_name": settings.pod_runtime_class or None,
    }


def resources(settings: Settings, step: str) -> k8s.V1ResourceRequirements:
    """Requests and limits: less memory for `prepare`, GPUs for `train` alone, since `evaluate` measures the ONNX."""
    if step == "prepare":
        return k8s.V1ResourceRequirements(
            requests={"cpu": "500m", "memory": "1Gi"},
            limits={"cpu": settings.trainer_cpu_limit, "memory": settings.trainer_memory_limit},
        )
    wanted = settings.trainer_gpus if step == "train" else 0
    gpus = {settings.trainer_gpu_resource: str(wanted)} if wanted else {}
    return k8s.V1ResourceRequirements(
        requests={"cpu": settings.trainer_cpu, "memory": settings.trainer_memory, **gpus},
        limits={"cpu": settings.trainer_cpu_limit, "memory": settings.trainer_memory_limit, **gpus},
    )


def workspace(settings: Settings) -> k8s.V1Volume:
    """Datasets and checkpoints: on the claim they outlive a pod, and a retry continues where the last try stopped."""
    if not settings.workspace_claim:
        return k8s.V1Volume(name="workspace", empty_dir=k8s.V1EmptyDirVolumeSource())
    claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=settings.workspace_claim)
    return k8s.V1Volume(name="workspace", persistent_volume_claim=claim)


def shared_memory() -> k8s.V1Volume:
    """PyTorch's data loaders pass batches through /dev/shm; a container's own is 64 MB."""
    return k8s.V1Volume(name="shared-memory", empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit="2Gi"))


def volume_mounts() -> list[k8s.V1VolumeMount]:
    """Where the two volumes are."""
    return [
        k8s.V1VolumeMount(name="workspace", mount_path=WORKSPACE),
        k8s.V1VolumeMount(name="shared-memory", mount_path="/dev/shm"),
    ]


def pod_security() -> k8s.V1PodSecurityContext:
    """As the Pod Security Standard `restricted` wants it."""
    return k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> k8s.V1SecurityContext:
    """The same for the container."""
    return k8s.V1SecurityContext(allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"]))
