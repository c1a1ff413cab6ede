"""What the DAGs take and what their tasks hand on, as XCom and Airflow's params carry it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from lifecycle.model.pin import PinDict, VersionDict

Outcome = Literal["pushed", "already_there", "superseded", "held", "requested"]
Proof = Literal["after", "candidate"]
End = Literal["ready", "failed", "crashing", "other", "timeout", "error"]


class TargetParams(TypedDict):
    """The part of the params that says which served model a run is about."""

    environment: str
    app: str
    served_model: str


class LifecycleParams(TargetParams):
    """The params of a pipeline's run that Python tasks read; the pods get theirs by template."""

    dataset: str
    model: str
    epochs: int
    image_size: int
    batch: int
    seed: int
    hyperparameters: dict[str, Any]
    device: str
    skip_unchanged: bool
    registered_model: str
    min_map50: float
    max_regression: float
    allow_class_change: bool


class RollbackParams(TargetParams):
    """The params of `yolo_rollback`.

    `version` None: what was live before the present pin. `code_commit` empty: the one that the version was live with.
    """

    version: int | None
    code_commit: str
    hold: bool
    reason: str


# The keys of `yolo_promote`'s params; two of them are words of Python.
PromoteParams = TypedDict("PromoteParams", {"pipeline": str, "from": str, "to": str, "skip_soak": bool, "reason": str})


class CodeParams(TypedDict):
    """The params of `yolo_release_code`."""

    pipeline: str
    reason: str


class StageDict(TargetParams):
    """A stage of a pipeline, as a DAG hands it to its tasks.

    `delivery` empty: as the setting says. `soak`: seconds that a version has to be live in the stage before; 0: none.
    """

    delivery: str
    proof: Proof
    soak: float


class StagesDict(TypedDict):
    """What DAGs know of stages: whether an entry is the last of its pipeline, and the pipelines' registered models."""

    entries: dict[str, bool]
    registered_models: list[str]


class Promotion(VersionDict, StageDict):
    """`choose_promotion`: the version, the stage that it goes to (in this dictionary) and the one it comes from.

    `source` None: the version stays where it is, and gets the newest code.
    `live` is what the former holds now; `table` is Markdown, both versions side by side; `classes`: which come and go;
    `since`: seconds since the epoch at which the latter was given the version, where that is asked for, else 0.
    """

    registered_model: str
    source: TargetParams | None
    live: PinDict
    dataset_digest: str
    table: str
    classes: str
    reason: str
    since: float


class OpenedRun(TypedDict):
    """`open_run`: the MLflow run, and the pin in git, whose version is None if nothing is served."""

    run_id: str
    experiment_id: str
    registered_model: str
    environment: str
    served_model: str
    live: PinDict


class Changes(TypedDict):
    """`find_changes`: what is other than in the live version, and why nothing is trained (empty: it is)."""

    changes: list[str]
    skipped: str


class GateDecision(TypedDict):
    """`gate`, under the key `decision`.

    `table` is Markdown, candidate and live version side by side; `classes` says which came and went, or is empty.
    """

    passed: bool
    reason: str
    table: str
    classes: str


class RegisteredVersion(VersionDict):
    """`register`: the version of this DAG run."""

    dataset_digest: str


class ChosenVersion(VersionDict):
    """`choose_version`: the version to go back to, and the pin that is in git now."""

    registered_model: str
    live: PinDict


class DeliveredCommit(TypedDict):
    """`promote` and `roll_back`: what became of the commit.

    `former` is the pin before, `pin` what was asked for (`code_commit` is its), `ours` whether this DAG run made the
    commit.
    """

    outcome: Outcome
    commit: str | None
    former: PinDict
    diff: str
    detail: str
    request_url: str | None
    pin: PinDict
    code_commit: str
    ours: bool


class RolledOut(TypedDict):
    """`wait_for_rollout`: what went to the branch, and where the rollout was seen."""

    commit: str
    revision: str


class ServedVersion(VersionDict):
    """`verify_serving`: what answers, where, and on how many images its boxes were compared."""

    url: str
    grpc_url: str
    images: int
    matched: int


class ProvedCandidate(ServedVersion):
    """`prove_candidate`: besides, milliseconds for a picture (median) and bytes of memory; None: not measured."""

    latency_ms: float
    live_latency_ms: float | None
    memory_bytes: int | None


class SoakEvent(TypedDict):
    """What the trigger of `soak` fires: sums over `servers`; `trouble`: what hindered the last look."""

    requests: int
    failures: int
    nanoseconds: int
    servers: int
    trouble: str


class RolloutEvent(TypedDict):
    """What the trigger of `wait_for_rollout` fires.

    `state` is one of `policy.application.State` (never `waiting`), or `timeout`, or `error` (with `retryable`).
    `accepted`, `older` and `deadline` come back as they were given, so that the task can continue where it was.
    """

    state: End
    message: str
    revision: str
    troubles: str
    retryable: bool
    accepted: list[str]
    older: list[str]
    deadline: float


class DatasetChange(TypedDict):
    """What the trigger of a watched dataset fires: fingerprints of `hooks.dataset`, now and at the event before."""

    dataset: str
    fingerprint: str
    former: str


class Release(TypedDict):
    """The extra of a registered model's asset event: which version went live where, and by which commit."""

    version: int
    commit: str
    code_commit: str
    environment: str
    app: str
    served_model: str
    mlflow_run: str
    dag_run: str
