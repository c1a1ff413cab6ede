"""Which served model a run is about, and the names that the chart and the ApplicationSet give it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lifecycle.model.names import APP_LABEL, COMPONENT_LABEL
from lifecycle.model.results import TargetParams


@dataclass(frozen=True)
class Target:
    """One served model: which environment, which app in it, which Triton model of that app.

    `candidate`: the version under proof beside the live one, which the chart gives a separate server.
    """

    environment: str
    app: str
    model: str
    candidate: bool = False

    @classmethod
    def of(cls, chosen: TargetParams) -> Target:
        """From the params of a run, or from a stage."""
        return cls(chosen["environment"], chosen["app"], chosen["served_model"])

    @property
    def as_candidate(self) -> Target:
        """The same model's candidate."""
        return replace(self, candidate=True)

    @property
    def component(self) -> str:
        """What the chart calls it, in labels and in the names of objects."""
        return f"{self.model}-candidate" if self.candidate else self.model

    @property
    def entry(self) -> str:
        """The entry of a values file that the target is."""
        return f"{self.environment}/{self.app}/{self.model}"

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
        return f"{APP_LABEL}={self.app},{COMPONENT_LABEL}={self.component}"


@dataclass(frozen=True)
class Endpoint:
    """Where a served model answers: an HTTP URL, and host:port for gRPC."""

    url: str
    grpc_url: str
