"""Every setting of the Airflow side, read from `LIFECYCLE_*` environment variables in one place."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the platform's parts are and how the DAGs behave. An unset variable takes the value below."""

    model_config = SettingsConfigDict(env_prefix="LIFECYCLE_", frozen=True, extra="ignore")

    # The DAGs
    max_active_runs: int = Field(
        default=1, ge=1, description="DAG runs of a pipeline at the same time; the others wait"
    )
    retry_delay: int = Field(default=20, ge=0, description="Seconds before the first retry of a task; then doubling")
    require_approval: bool = Field(
        default=False, description="A person approves in Airflow's UI before the commit is made"
    )
    approval_timeout: int = Field(
        default=7 * 24 * 3600, ge=60, description="Seconds until an unanswered approval is a rejection"
    )

    proof: Literal["after", "candidate"] = Field(
        default="after",
        description="candidate: a version is proved on a server that no client reaches, before it goes live. after: it "
        "goes live and is proved there; for one GPU",
    )
    candidate_max_slowdown: float = Field(
        default=3.0,
        ge=0,
        description="How many times as long as the live version a candidate may take for a picture; 0: not judged",
    )

    # Between two stages of a pipeline
    soak_max_failure_ratio: float = Field(
        default=0.05, ge=0, le=1, description="Share of a version's requests in a stage that may fail before the next"
    )
    soak_max_latency_ms: float = Field(
        default=1000,
        ge=0,
        description="Milliseconds that they may take: Triton's mean, or Prometheus' 99th percentile; 0: not judged",
    )
    soak_poll: float = Field(default=30, gt=0, description="Seconds between two looks at the servers' statistics")
    prometheus_url: str = Field(
        default="", description="Prometheus with the chart's rules; empty: Triton's own statistics"
    )

    # The pods
    trainer_image: str = Field(
        default="ghcr.io/your-org/yolo-trainer:latest", description="Image of prepare, train and evaluate"
    )
    workflow_image: str = Field(
        default="ghcr.io/your-org/yolo-lifecycle:latest",
        description="Image of the steps of a workflow (Argo Workflows) that are no trainer's",
    )
    workflow_client_image: str = Field(
        default="",
        description="Image of a workflow's last step, which asks the served version and logs each request to the "
        "workspace (docker/client); empty: no such step",
    )
    workflow_account: str = Field(
        default="workflow-steps", description="Service account of these steps: they follow Applications"
    )
    workflow_executor: str = Field(
        default="workflow-executor", description="Service account with which Argo Workflows reports what a step left"
    )
    pod_namespace: str = Field(
        default="lifecycle", description="Namespace of the DAG's pods; the Secret `mlflow` is there"
    )
    pod_service_account: str = Field(
        default="", description="Service account of the pods; empty: the namespace's default"
    )
    workspace_claim: str = Field(
        default="workspace", description="PVC for datasets and checkpoints; empty: an emptyDir per pod"
    )
    workspace_access: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        default="ReadWriteOnce",
        description="Access of that PVC; with ReadWriteOnce, prepare and evaluate go where train goes",
    )
    pod_node_selector: dict[str, str] = Field(default={}, description="Node labels of the train pod (JSON)")
    pod_tolerations: list[dict[str, Any]] = Field(default=[], description="Its tolerations (JSON)")
    pod_affinity: dict[str, Any] = Field(default={}, description="Its affinity (JSON)")
    pod_runtime_class: str = Field(default="", description="Its runtime class, such as nvidia")
    pod_priority_class: str = Field(default="", description="Priority class of all pods")
    pod_image_pull_secrets: list[str] = Field(default=[], description="Secrets that pull the trainer's image (JSON)")
    pod_template: dict[str, Any] = Field(
        default={}, description="A Pod (JSON) that all pods are merged into; its container is named base"
    )
    trainer_cpu: str = Field(default="1", description="CPU request of the train and evaluate pods")
    trainer_cpu_limit: str = Field(default="8", description="CPU limit of the train and evaluate pods")
    trainer_memory: str = Field(default="2Gi", description="Memory request of the train and evaluate pods")
    trainer_memory_limit: str = Field(default="16Gi", description="Memory limit of the train and evaluate pods")
    trainer_gpus: int = Field(default=0, ge=0, description="GPUs of the train pod, which trains on all of them")
    trainer_gpu_resource: str = Field(
        default="nvidia.com/gpu", description="Resource that GPUs are asked for by: also slices, nvidia.com/mig-1g.10gb"
    )
    trainer_pool: str = Field(
        default="default_pool", description="Airflow pool of the trainings; in another than default_pool, a slot a GPU"
    )
    weights_url: str = Field(
        default="", description="Folder on the web with published weights (yolo11n.pt); empty: Ultralytics' own"
    )
    train_timeout: int = Field(default=24 * 3600, ge=60, description="Seconds that a training may take")
    kubernetes_conn_id: str = Field(default="kubernetes_default", description="Airflow connection to the cluster")
    kubernetes_timeout: float = Field(
        default=20, gt=0, description="Seconds that one request to the Kubernetes API may take"
    )
    kubernetes_retries: int = Field(
        default=3, ge=0, description="Repeats of a request that the Kubernetes API did not answer, or with 429 or 5xx"
    )

    # Git, Argo CD, serving, MLflow
    gitops_url: str = Field(default="", description="The git repository that Argo CD deploys from")
    gitops_branch: str = Field(default="main", description="The branch that Argo CD follows")
    gitops_conn_id: str = Field(
        default="", description="Airflow connection with git credentials; empty: none are needed"
    )
    gitops_delivery: Literal["push", "github", "gitlab", "gitea"] = Field(
        default="push", description="push: commit to the branch; otherwise open a merge request at that kind of host"
    )
    gitops_api_url: str = Field(default="", description="The host's API; empty: found from the repository's URL")
    gitops_message: str = Field(default="", description="Template of the commit message; empty: the built-in one")
    gitops_signing: Literal["", "ssh", "gpg"] = Field(default="", description="Sign commits with that kind of key")
    gitops_signing_key: str = Field(default="", description="GPG key id or path of an SSH key")
    gitops_author_name: str = Field(default="yolo-lifecycle", description="Author of the commits")
    gitops_author_email: str = Field(default="yolo-lifecycle@localhost", description="Its address")
    gitops_time_limit: int = Field(default=300, ge=1, description="Seconds to insist against other writers and outages")
    merge_timeout: int = Field(default=7 * 24 * 3600, ge=60, description="Seconds that a merge request may stay open")
    merge_poll: int = Field(default=60, ge=1, description="Seconds between two looks at an open merge request")
    argocd_namespace: str = Field(default="argocd", description="Namespace of the Applications")
    rollout_timeout: int = Field(
        default=1200,
        ge=5,
        description="Seconds that a commit may take to be synced and healthy: more than charts/triton's "
        "progressDeadlineSeconds (900 by default), after which Argo CD itself says Degraded",
    )
    rollout_poll: float = Field(default=2.0, gt=0, description="Seconds between two looks at the Application")
    rollout_settle: float = Field(
        default=5.0,
        ge=0,
        description="Seconds before a rollout's first verdict: Airflow needs them to see the deferral",
    )
    refresh_interval: float = Field(
        default=30.0, gt=0, description="Seconds between two requests to Argo CD to look at git"
    )
    serving_url: str = Field(
        default="",
        description="Triton's HTTP URL, with {environment}, {app} and {model}; empty: the Service's cluster address",
    )
    serving_grpc_url: str = Field(default="", description="The same for gRPC, as host:port")
    candidate_url: str = Field(
        default="", description="The HTTP URL of a candidate, in the same way; needed where the URLs above are set"
    )
    verify_timeout: int = Field(
        default=60, ge=1, description="Seconds until the Service must answer with the new version"
    )
    mlflow_conn_id: str = Field(
        default="mlflow_default", description="Airflow connection (type http) to the MLflow server"
    )
    mlflow_public_url: str = Field(
        default="",
        description="MLflow's address for people's browsers, which links lead to; empty: that of the connection",
    )
    mlflow_timeout: int = Field(default=20, ge=1, description="Seconds that one request to MLflow may take")
    mlflow_retries: int = Field(
        default=2, ge=0, description="Repeats of a failed request, before the task itself is retried"
    )


@cache
def settings() -> Settings:
    """The settings, read once per process.

    Raises:
        pydantic.ValidationError: a variable's value is not valid; it names the variable.
    """
    return Settings()
