"""Every name that parts agree on, once: tags, metrics, artifacts, aliases, labels, XCom keys, task ids, trailers.

They are contracts (docs/contracts.md). The trainer and the server are other programs and keep copies of theirs.
"""

from __future__ import annotations

# MLflow: tags of a run
DAG_ID = "dag_id"
DAG_RUN_ID = "dag_run_id"
DATASET = "dataset"
DATASET_DIGEST = "dataset_digest"
CLASS_NAMES = "class_names"
MODEL_URI = "model_uri"
SHA256 = "sha256"
IMAGE_SIZE = "image_size"
PRECISION_DROP = "precision_drop"
PARENT_VERSION = "parent_version"  # <registered model>/<version> whose weights a training began from
RECIPE = "recipe"  # data, weights, settings and image that a training was made of (policy/recipe.py)
LIVE_VERSION = "live_version"
LIVE_COMPARISON = "live_comparison"
GATE = "gate"
GATE_REASON = "gate_reason"
CLASS_CHANGE = "class_change"  # which classes came and went against the live version; absent: none
SERVED = "served"
DESCRIPTION = "mlflow.note.content"  # MLflow's own
OUTCOME = "outcome"  # how the DAG run ended, written with the run's last state

# MLflow: tags of a version, besides those that it takes over from its run
RUN_ID = "run_id"
COMMIT = "commit"
CODE_COMMIT = "code_commit"  # of model_repository/, which the version went live with
ENVIRONMENT = "environment"
LIVE_SINCE = "live_since"

# MLflow: params of a run
WEIGHTS_SHA256 = "weights_sha256"  # of the weights that a training starts from; none for an architecture

# MLflow: metrics, artifacts and the alias
MAP50 = "mAP50"
MAP50_95 = "mAP50-95"
CANDIDATE_SPLIT = "test"
LIVE_SPLIT = "live"
VERIFICATION_IMAGES = "verification_images"
CANDIDATE_LATENCY = "candidate/latency_ms"
LIVE_LATENCY = "candidate/live_latency_ms"
CANDIDATE_MEMORY = "candidate/memory_bytes"
VERIFICATION_FOLDER = "verification"
DETECTIONS_PICTURE = "serving/detections.png"
CHAMPION = "champion"

# Kubernetes and Argo CD
COMPONENT_LABEL = "app.kubernetes.io/component"  # the served model, or the step of a trainer's pod
APP_LABEL = "app.kubernetes.io/instance"
VERSION_LABEL = "yolo-lifecycle/model-version"
NAME_LABEL = "app.kubernetes.io/name"
PART_OF_LABEL = "app.kubernetes.io/part-of"
DAG_RUN_ANNOTATION = "yolo-lifecycle/dag-run"
REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"
MLFLOW_SECRET = "mlflow"  # noqa: S105 — a Secret's name
GITOPS_SECRET = "gitops"  # noqa: S105 — of a workflow's steps: GITOPS_TOKEN and the like
SETTINGS_CONFIG = "lifecycle-settings"  # ConfigMap of a workflow's steps: LIFECYCLE_…
ASSEMBLE_CONTAINER = "assemble"  # of charts/triton: makes Triton's model folder out of the templates
HTTP_PORT = "http"
GRPC_PORT = "grpc"

# Trailers of a commit
MODEL_VERSION_TRAILER = "Model-Version"
MLFLOW_RUN_TRAILER = "MLflow-Run"
CODE_COMMIT_TRAILER = "Code-Commit"
DATASET_DIGEST_TRAILER = "Dataset-Digest"
DAG_RUN_TRAILER = "Dag-Run"
REVERTS_TRAILER = "Reverts"
DELIVERY_TRAILER = "Delivery"
REASON_TRAILER = "Reason"
PROMOTED_FROM_TRAILER = "Promoted-From"
CLASS_CHANGE_TRAILER = "Class-Change"

# Airflow: task ids that other tasks ask, and XCom keys besides `return_value`
OPEN_RUN = "open_run"
FIND_CHANGES = "find_changes"
GATE_TASK = "gate"
COMMIT_CANDIDATE = "commit_candidate"
WAIT_FOR_CANDIDATE = "wait_for_candidate"
PROVE_CANDIDATE = "prove_candidate"
DISCARD_CANDIDATE = "discard_candidate"
REGISTER = "register"
CHOOSE_PROMOTION = "choose_promotion"
CHOOSE_CODE = "choose_code"
PROMOTE = "promote"
SET_ALIAS = "set_alias"
WAIT_FOR_ROLLOUT = "wait_for_rollout"
VERIFY_SERVING = "verify_serving"
RESTORE = "restore"
CLOSE_RUN = "close_run"
FAILURE_KEY = "failure"  # why a task failed, for the task that reports it
COMMIT_KEY = "commit"  # the commit on the branch, also where the rollout then fails
REASON_KEY = "reason"  # why a task was skipped, in a sentence
DECISION_KEY = "decision"  # the gate's outcome and table, for the approval


def beside(task_id: str, name: str) -> str:
    """The id of a task in the same group as another: `production.promote` beside `production.restore`."""
    group, dot, _ = task_id.rpartition(".")
    return f"{group}{dot}{name}"


def metric(split: str, name: str) -> str:
    """A metric of `evaluate`, such as `test/mAP50`."""
    return f"{split}/{name}"
