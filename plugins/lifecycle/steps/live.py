"""After the proof: the aliases move to the version that answers."""

from __future__ import annotations

import logging

from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.pin import Pin, VersionDict
from lifecycle.model.results import RolledOut, StagesDict
from lifecycle.model.target import Target
from lifecycle.policy.stages import is_last

log = logging.getLogger(__name__)


def set_alias(
    registered_model: str, pin: VersionDict, rolled: RolledOut, stages: StagesDict, target: Target
) -> list[str]:
    """Move the environment's alias (in the last stage `champion` too) to the version that was proved live.

    Args:
        registered_model: MLflow's registered model.
        pin: what answers, with the code that it answers with.
        rolled: the commit that made it live.
        stages: which entries are the last of their pipeline.
        target: where it is live.

    Returns:
        The aliases.
    """
    number, champion = Pin.from_xcom(pin).number, is_last(stages, target.entry, registered_model)
    with MlflowHook.from_settings().session() as client:
        versions.set_live(
            client,
            registered_model,
            number,
            commit=rolled["commit"],
            code_commit=pin["code_commit"],
            environment=target.environment,
            champion=champion,
        )
    aliases = [target.environment, *([names.CHAMPION] if champion else [])]
    log.info("%s is version %s", ", ".join(f"{registered_model}@{alias}" for alias in aliases), number)
    return aliases
