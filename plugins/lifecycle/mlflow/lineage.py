"""From what answers to where it came from: server → code, version → MLflow run → dataset digest → DAG run → commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import RegistryError
from lifecycle.mlflow import runs, versions
from lifecycle.model import names

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from yolo_client import ServedModel


@dataclass(frozen=True)
class Link:
    """One link of the chain: what it is, its name, and facts about it."""

    what: str
    name: str
    facts: dict[str, Any]


def ask(url: str, model: str, protocol: str = "http") -> ServedModel:
    """Ask a running server what it serves.

    Raises:
        ServingError: nothing answers, the server refuses, or it is no model of this project.
    """
    from lifecycle.verification import ask_served

    return ask_served(url, model, "grpc" if protocol == "grpc" else "http")


def trace(client: MlflowClient, served: ServedModel, url: str, model: str) -> list[Link]:
    """Follow what a server says back to its origins.

    Raises:
        BadParameter: MLflow knows no such version.
        RegistryError: MLflow's version is not the one that is served (another checksum).
    """
    version = versions.existing(client, served.name, served.version)
    registered = versions.sha256_of(version)
    if registered != served.sha256:
        raise RegistryError(
            f"{url} serves {served.name} version {served.version} with sha256 {served.sha256}, and MLflow has "
            f"{registered} for that version: they are different files. Compare the server's MLFLOW_TRACKING_URI with "
            "the one asked here."
        )
    run = client.get_run(served.run_id)
    told, tags = runs.describe(run), version.tags
    aliases = client.get_registered_model(served.name).aliases
    return [
        Link("server", url, {"model": model, "engine": served.engine, "image_size": served.image_size}),
        Link("code", served.code_commit, {}),
        Link(
            "version",
            f"{served.name} {served.version}",
            {
                "sha256": served.sha256,
                "aliases": ", ".join(alias for alias, at in aliases.items() if str(at) == str(served.version)),
                "live_since": tags.get(names.LIVE_SINCE, ""),
                "environment": tags.get(names.ENVIRONMENT, ""),
                "parent_version": tags.get(names.PARENT_VERSION, ""),
            },
        ),
        Link("run", served.run_id, dict(told.figures)),
        Link("dataset", told.dataset_digest, {"dataset": told.dataset, "classes": told.classes}),
        Link("dag_run", told.dag_run, {}),
        Link("commit", tags.get(names.COMMIT, ""), {}),
    ]


def text(chain: list[Link]) -> str:
    """The chain for a person, a line a link."""
    lines = []
    for link in chain:
        facts = "  ".join(f"{key} {value}" for key, value in link.facts.items() if value not in ("", None))
        lines.append(f"{link.what:<8} {link.name or 'not recorded'}{f'   {facts}' if facts else ''}")
    return "\n".join(lines)
