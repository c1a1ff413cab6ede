"""What a pipeline's file may say: the one place for its keys, their limits and their words.

The trigger form (`lifecycle.params`) and `dags/pipelines/schema.json` are made from these classes.
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lifecycle import kinds
from lifecycle.kinds import Gate, Part
from lifecycle.pipelines.values import (
    Duration,
    Label,
    Quantity,
    RegisteredModel,
    Release,
    Schedule,
    ServedModel,
    Timezone,
    watchable,
)

# MLflow's own names of aliases, this project's, and what MLflow refuses.
RESERVED = "champion|latest|v[0-9]+"
# Made on the spot by the trainer: never other than it was.
MADE = "digits"


class Train(Part):
    """How the candidate is trained. The options of one run are the form's."""

    model: str = Field(
        title="Architecture or weights",
        min_length=1,
        description="A `.yaml` architecture, or of a classifier a network of torchvision (`resnet18`), is trained from "
        "scratch, `.pt` weights are fine-tuned: a name that "
        "Ultralytics has, a path in the workspace, `https://` or `s3://`. `models:/<name>/<version>` or "
        "`models:/<name>@<alias>` continues from a registered version. `yolo-pico.yaml` is a small one in the image.",
        examples=[
            "yolo-pico.yaml",
            "yolo11n.yaml",
            "yolo26n.yaml",
            "yolo11n.pt",
            "s3://bucket/best.pt",
            "models:/digits-detector@champion",
            "resnet18",
            "yolo11n-cls.pt",
        ],
    )
    epochs: int = Field(title="Epochs", ge=1, le=10000, description="1 to 10000.")
    image_size: int = Field(
        default=640,
        title="Image size",
        ge=32,
        le=4096,
        multiple_of=32,
        description="Side of the square that images are brought to, in pixels: a multiple of 32. Detectors get the "
        "whole image with a grey border, classifiers its middle.",
    )
    batch: int = Field(default=16, title="Batch", ge=1, le=4096, description="Images per training step.")
    seed: int = Field(
        default=0,
        title="Seed",
        ge=0,
        le=2**31 - 1,
        description="Of the training and of splits that the dataset does not bring.",
    )
    hyperparameters: dict[str, Any] = Field(
        default={},
        title="Hyperparameters",
        description="Further training arguments of Ultralytics, as an object.",
    )
    device: str = Field(
        default="auto",
        title="Device",
        pattern="^(auto|cpu|[0-9]+(,[0-9]+)*)$",
        description="`auto`: all GPUs of the training pod (`resources.gpus`), else its CPUs. Or `cpu`, or numbers of "
        "GPUs: `0`, `0,1,2,3`.",
        examples=["auto", "cpu", "0", "0,1,2,3"],
    )


class Run(Part):
    """When the DAG runs by itself. Without any of these, it runs when a person triggers it."""

    schedule: Schedule = Field(
        default=None,
        title="Schedule",
        description='Five cron fields in quotes, such as "0 3 * * 0"; a preset such as @weekly; or none.',
    )
    timezone: Timezone = Field(default="UTC", title="Time zone", description="Of the schedule, such as Europe/Berlin.")
    on_dataset_change: Duration | None = Field(
        default=None,
        title="On a change of the dataset",
        description="Looks that often whether the dataset is another one, such as 15m, and starts a run then. The "
        "dataset has to be `http(s)://`, `s3://` or a path that Airflow's triggerer sees as the pods do.",
    )
    skip_unchanged: bool = Field(
        default=False,
        title="Skip if nothing changed",
        description="A run whose dataset, weights, settings and trainer image are those of the live version ends as "
        "skipped before it trains.",
    )


class Resources(Part):
    """What the pods ask for and where they run. A key that is missing takes Airflow's setting `LIFECYCLE_…`."""

    gpus: int | None = Field(default=None, ge=0, description="GPUs of the train pod, which trains on all of them.")
    gpu_resource: str | None = Field(
        default=None, min_length=1, description="The resource that GPUs are asked for by, such as nvidia.com/gpu."
    )
    pool: str | None = Field(
        default=None,
        min_length=1,
        description="Airflow pool in which trainings that want the same GPUs wait for each other; each takes a slot a "
        "GPU, and it must exist.",
    )
    image: str | None = Field(default=None, min_length=1, description="Image of prepare, train and evaluate.")
    timeout: Duration | None = Field(default=None, description="The longest that a training may take, such as 24h.")
    cpu: Quantity | None = Field(default=None, description="CPU request of train and evaluate.")
    cpu_limit: Quantity | None = Field(default=None, description="CPU limit of all three pods.")
    memory: Quantity | None = Field(default=None, description="Memory request of train and evaluate.")
    memory_limit: Quantity | None = Field(default=None, description="Memory limit of all three pods.")
    node_selector: dict[str, str] | None = Field(default=None, description="Node labels of the train pod.")
    tolerations: list[dict[str, Any]] | None = Field(default=None, description="Its tolerations.")
    affinity: dict[str, Any] | None = Field(default=None, description="Its affinity.")
    runtime_class: str | None = Field(default=None, description="Its runtime class, such as nvidia.")
    priority_class: str | None = Field(default=None, description="Priority class of all pods.")
    image_pull_secrets: list[str] | None = Field(default=None, description="Secrets that pull the image.")
    pod_template: dict[str, Any] | None = Field(
        default=None, description="A Pod that all pods are merged into; its container is named base."
    )


class Stage(Part):
    """One place that a version is released to. A run releases to the first; the others follow in the file's order."""

    environment: Label = Field(
        title="Environment",
        description="Folder under `argocd-apps/`, and the namespace that serves.",
        examples=["staging", "production"],
    )
    app: Release = Field(
        title="App",
        description="Folder under the environment; its `values.yaml` holds the model.",
        examples=["detector"],
    )
    model: ServedModel = Field(
        title="Served model",
        description="Triton's model name: the `name` of an entry of `models` in that `values.yaml`.",
    )
    proof: Literal["candidate", "after"] | None = Field(
        default=None,
        description="candidate: a pod that no client sees proves the version first. after: the live server proves it, "
        "and the former version comes back if it does not. Without it, as LIFECYCLE_PROOF says.",
    )
    by: Literal["auto", "approval", "request", "manual"] = Field(
        default="manual",
        description="What lets a version in. auto: nothing more. approval: a person in Airflow. request: a merge "
        "request at the git host. manual: a run of yolo_promote. Of the first stage auto, of the others manual.",
    )
    soak: Duration | None = Field(
        default=None,
        description="How long a version has to be live in the stage before, such as 30m; the share of its requests "
        "that failed there, and how long they took, must have stayed within LIFECYCLE_SOAK_…. yolo_promote waits for "
        "what is left of it.",
    )
    delivery: Literal["push", "github", "gitlab", "gitea"] | None = Field(
        default=None, description="How the commit reaches the branch; without it, as LIFECYCLE_GITOPS_DELIVERY says."
    )

    @property
    def entry(self) -> str:
        """The entry of a values file that the stage writes."""
        return f"{self.environment}/{self.app}/{self.model}"

    @model_validator(mode="after")
    def _request_needs_a_host(self) -> Stage:
        if self.by == "request" and self.delivery == "push":
            raise PydanticCustomError("by", "by: request needs delivery: github, gitlab or gitea, not push")
        return self


def _check_order(stages: tuple[Stage, ...]) -> None:
    """A stage that no run reaches, or that nothing waits for, is a mistake."""
    manual = None
    for number, stage in enumerate(stages[1:], 1):
        if manual is not None and stage.by != "manual":
            raise PydanticCustomError(
                "stages",
                "[{number}].by: a run does not get past [{manual}], which is manual; write manual here too",
                {"number": number, "manual": manual},
            )
        if stage.by == "manual":
            manual = number


class Pipeline(Part):
    """One model: from its dataset to the stages that serve it. `of_task` gives the class with the task's gate."""

    registered_model: RegisteredModel = Field(
        title="Registered model", description="MLflow's registered model, and the name of its experiment."
    )
    task: str = Field(
        default=kinds.DEFAULT,
        title="Task",
        description="detect: objects in boxes. classify: one class an image.",
        json_schema_extra={"enum": list(kinds.every())},
    )
    dataset: str = Field(
        title="Dataset",
        min_length=1,
        description="`digits` (made on the spot), or a directory, zip, tar or `.ndjson`, by path, `http(s)://` or "
        "`s3://`. Of detectors, an Ultralytics-format `data.yaml` tree, COCO or Pascal VOC; of classifiers, a folder "
        "of images for each class, or MNIST's IDX files; of both, Ultralytics' NDJSON.",
        examples=[
            "digits",
            "s3://bucket/dataset.zip",
            "https://example.com/dataset.tar.gz",
            "/workspace/datasets/mine",
        ],
    )
    train: Train = Field(description="How the candidate is trained.")
    gate: Gate = Field(default=Gate(), description="What a candidate has to reach.")
    run: Run = Field(default=Run(), description="When the DAG runs by itself.")
    resources: Resources = Field(default=Resources(), description="What the pods ask for and where they run.")
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = Field(
        min_length=1, description="Where a version is released to, in this order."
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _first_is_automatic(cls, stages: Any) -> Any:
        """A run releases to the first stage by itself, unless the file says otherwise."""
        if isinstance(stages, list) and stages and isinstance(stages[0], dict):
            return [{"by": "auto", **stages[0]}, *stages[1:]]
        return stages

    @field_validator("stages")
    @classmethod
    def _stages_fit_together(cls, stages: tuple[Stage, ...], info: ValidationInfo) -> tuple[Stage, ...]:
        seen: dict[str, int] = {}
        for number, stage in enumerate(stages):
            if stage.environment in seen:
                raise PydanticCustomError(
                    "stages",
                    "the environment {name} is in it twice (as [{first}] and [{second}]); an environment is one stage",
                    {"name": stage.environment, "first": seen[stage.environment], "second": number},
                )
            seen[stage.environment] = number
            if re.fullmatch(RESERVED, stage.environment):
                raise PydanticCustomError(
                    "stages",
                    "[{number}].environment: {name} cannot be an environment's name, since MLflow's alias of that name "
                    "has another meaning",
                    {"number": number, "name": stage.environment},
                )
        _check_order(stages)
        if stages and stages[0].by == "manual":
            raise PydanticCustomError("stages", "[0].by: a run releases to the first stage; auto, approval or request")
        if stages and stages[0].soak is not None:
            raise PydanticCustomError(
                "stages", "[0].soak: before the first stage there is none to wait in; leave it out"
            )
        return stages

    @model_validator(mode="after")
    def _dataset_can_change(self) -> Pipeline:
        if self.run.on_dataset_change is None:
            return self
        if self.dataset.split("?")[0] == MADE:
            reason: str | None = f"the dataset {MADE} is made on the spot and never changes"
        else:
            reason = watchable(self.dataset)
        if reason is not None:
            raise PydanticCustomError("on_dataset_change", "run.on_dataset_change: {reason}", {"reason": reason})
        return self


@functools.cache
def of_task(name: str) -> type[Pipeline]:
    """What the file of a pipeline of this task may say: its gate knows the task's own figure."""
    kind = kinds.find(name)
    gate = (kind.gate, Field(default=kind.gate(), description="What a candidate has to reach."))
    made: type[Pipeline] = create_model("Pipeline", __base__=Pipeline, __doc__=Pipeline.__doc__, gate=gate)
    return made
