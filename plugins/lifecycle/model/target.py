"""The names that the chart and the ApplicationSet give (docs/contracts.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One served model: which environment, which app in it, which Triton model of that app."""

    environment: str
    app: str
    model: str

    @property
    def application(self) -> str:
        """Name of the Argo CD Application."""
        return f"{self.environment}-{self.app}"

    @property
    def namespace(self) -> str:
        """Namespace of what serves."""
        return self.environment

    @property
    def selector(self) -> str:
        """Label selector of the model's Service, Deployment and pods."""
        return f"app.kubernetes.io/instance={self.app},app.kubernetes.io/component={self.model}"
