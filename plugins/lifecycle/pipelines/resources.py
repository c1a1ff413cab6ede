"""The settings of one pipeline: what its file says about pods, over what is set for all."""

from __future__ import annotations

from lifecycle.pipelines.spec import Pipeline
from lifecycle.settings import Settings

# Keys of the file's `resources` and the setting that each takes the place of.
RESOURCES = {
    "gpus": "trainer_gpus",
    "gpu_resource": "trainer_gpu_resource",
    "pool": "trainer_pool",
    "image": "trainer_image",
    "cpu": "trainer_cpu",
    "cpu_limit": "trainer_cpu_limit",
    "memory": "trainer_memory",
    "memory_limit": "trainer_memory_limit",
    "node_selector": "pod_node_selector",
    "tolerations": "pod_tolerations",
    "affinity": "pod_affinity",
    "runtime_class": "pod_runtime_class",
    "priority_class": "pod_priority_class",
    "image_pull_secrets": "pod_image_pull_secrets",
    "pod_template": "pod_template",
}


def settings_for(pipeline: Pipeline, common: Settings) -> Settings:
    """The settings, with what the file says about pods and about an approval before its first stage over them."""
    wanted = pipeline.resources
    over = {RESOURCES[key]: value for key, value in wanted if key in RESOURCES and value is not None}
    if wanted.timeout is not None:
        over["train_timeout"] = int(wanted.timeout.total_seconds())
    if pipeline.stages[0].by == "approval":
        over["require_approval"] = True
    return common.model_copy(update=over)
