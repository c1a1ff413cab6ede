"""The pods of the DAG: one step of the trainer image each, run by the unmodified KubernetesPodOperator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

from lifecycle.hooks.pending import SayWhyPending
from lifecycle.model import names
from lifecycle.settings import Settings
from lifecycle.trainer_pods import (
    JSON_OPTIONS,
    LIMIT,
    TEXT_OPTIONS,
    WORKSPACE,
    container_security,
    placement,
    pod_security,
    resources,
    shared_memory,
    volume_mounts,
    workspace,
)

# Every step takes all options, so that each can check what it was given (docs/contracts.md).
OPTIONS = (
    *(f"--{name.replace('_', '-')}={{{{ params.{name} }}}}" for name in TEXT_OPTIONS),
    f"--live-version={{{{ ti.xcom_pull('{names.OPEN_RUN}')['live']['version'] or '' }}}}",
    *(f"--{name.replace('_', '-')}={{{{ params.{name} | tojson }}}}" for name in JSON_OPTIONS),
)
DEFAULT_POOL = "default_pool"  # Airflow's own, of tasks of every kind


def trainer_pods(settings: Settings, run_id: Any) -> list[KubernetesPodOperator]:
    """Make the operators of `prepare`, `train` and `evaluate`, in this order; `run_id`: see `trainer_pod`."""
    steps = (
        ("prepare", LIMIT, "Fetches the dataset, checks it before any training, and records its digest."),
        ("train", settings.train_timeout, "Trains, exports to ONNX, logs metrics per epoch, weights and the ONNX."),
        ("evaluate", LIMIT, "Measures candidate and live version on the held-out split."),
    )
    return [trainer_pod(settings, step, run_id=run_id, seconds=seconds, doc_md=doc) for step, seconds, doc in steps]


def trainer_pod(
    settings: Settings,
    step: str,
    *,
    run_id: Any,
    seconds: int,
    **kwargs: Any,
) -> KubernetesPodOperator:
    """Make the operator that runs `python -m trainer <step>`.

    Args:
        settings: image, namespace, resources.
        step: `prepare`, `train` or `evaluate`; also the task's id.
        run_id: the MLflow run to write to (a value from an earlier task).
        seconds: time limit of the pod.
        kwargs: for the operator (documentation and the like).
    """
    return KubernetesPodOperator(
        task_id=step,
        kubernetes_conn_id=settings.kubernetes_conn_id,
        namespace=settings.pod_namespace,
        name=f"yolo-{step}",
        image=settings.trainer_image,
        cmds=["python", "-m", "trainer", step],
        arguments=[*OPTIONS, f"--gpus={settings.trainer_gpus}", "--workspace", WORKSPACE],
        env_vars={"MLFLOW_RUN_ID": run_id, "YOLO_WEIGHTS_URL": settings.weights_url},
        env_from=[k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=names.MLFLOW_SECRET))],
        labels={
            names.NAME_LABEL: "yolo-trainer",
            names.COMPONENT_LABEL: step,
            names.PART_OF_LABEL: "yolo-lifecycle",
        },
        # Labels dag_id and run_id are the operator's own; label values are short and this is not.
        annotations={names.DAG_RUN_ANNOTATION: "{{ dag.dag_id }}/{{ run_id }}"},
        container_resources=resources(settings, step),
        **_pool(settings, step),
        **placement(settings, step),
        priority_class_name=settings.pod_priority_class or None,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=name) for name in settings.pod_image_pull_secrets],
        pod_template_dict=settings.pod_template or None,
        volumes=[workspace(settings), shared_memory()],
        volume_mounts=volume_mounts(),
        service_account_name=settings.pod_service_account or None,
        automount_service_account_token=False,
        security_context=pod_security(),
        container_security_context=container_security(),
        # Synchronous, because only then does the log stream while the pod runs. A worker that dies loses nothing: the
        # next try finds the pod by its stored identity and continues with it.
        deferrable=False,
        durable=True,
        get_logs=True,
        container_name_log_prefix_enabled=False,
        startup_check_interval_seconds=1,
        schedule_timeout_seconds=3600,
        startup_timeout_seconds=900,
        active_deadline_seconds=seconds,
        execution_timeout=timedelta(seconds=seconds + 3600),
        # Whatever a person needs of a failed pod (log, last words, events, container states) is in the task's log.
        on_finish_action="delete_pod",
        termination_message_policy="FallbackToLogsOnError",
        log_events_on_failure=True,
        callbacks=SayWhyPending,
        log_pod_spec_on_failure=False,
        **kwargs,
    )


def _pool(settings: Settings, step: str) -> dict[str, Any]:
    """Trainings that want the same GPUs wait for each other in Airflow, where Kubernetes would time a pod out."""
    if step != "train" or settings.trainer_pool == DEFAULT_POOL:
        return {}
    return {"pool": settings.trainer_pool, "pool_slots": max(1, settings.trainer_gpus)}
