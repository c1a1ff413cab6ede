"""What the operators share that undo a release: which served model it is, and how its commits are delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from lifecycle.model.target import Target


class UndoOperator(BaseOperator):
    """Undoes, by one commit, what its run did to a served model.

    :param environment: folder under argocd-apps/, and namespace of what serves. (templated)
    :param app: folder under the environment. (templated)
    :param model: Triton's model name. (templated)
    :param registered_model: MLflow's registered model. (templated)
    :param delivery: how the stage has its commits delivered; empty: as the setting says. (templated)
    """

    template_fields: Sequence[str] = ("environment", "app", "model", "registered_model", "delivery")

    def __init__(
        self, *, environment: str, app: str, model: str, registered_model: str, delivery: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.environment = environment
        self.app = app
        self.model = model
        self.registered_model = registered_model
        self.delivery = delivery

    @property
    def target(self) -> Target:
        """The served model."""
        return Target(self.environment, self.app, self.model)
