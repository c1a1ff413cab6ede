"""One test's platform: a registered model and a repository of its own, on the worker's servers; and DAG runs on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.hand import Hand
from tests.integration.airflow.servers import Kube, Served
from tests.support.paths import ROOT
from tests.support.processes import until
from tests.support.release_repository import Repository

NUMBERS = itertools.count(1)


@dataclass
class Servers:
    """What lives as long as the worker; `account` is the kubeconfig of Airflow's ServiceAccount."""

    mlflow_url: str
    kube: Kube
    account: Path
    served: Served
    candidate: Served
    production: Served
    production_candidate: Served
    # MLflow's URI of a version that a run of the DAG released: what `Platform.release` copies.
    released: str = ""


@dataclass
class Platform:
    """One test's own registered model and repository, on the session's servers."""

    servers: Servers
    model: str
    repository: Repository
    hand: Hand
    client: Any

    def release(self) -> None:
        """Have one more version live in staging as a run of the DAG leaves it, without a run: a copy of one's.

        For tests that begin where something is live: registered by MLflow's own copy, delivered and made live by the
        functions of the DAG's tasks.
        """
        from lifecycle.mlflow.versions import pin_of, set_live
        from lifecycle.model.results import RegisteredVersion
        from lifecycle.model.target import Target
        from lifecycle.steps import handoff

        copied = self.client.copy_model_version(self.servers.released, self.model)
        pin, target = pin_of(copied), Target("staging", "detector", "digits")
        registered: RegisteredVersion = {**pin.version_xcom(), "dataset_digest": copied.tags["dataset_digest"]}
        made = handoff.promote(target, self.model, registered, dag_run=f"digits/prepared-{pin.version}")
        until(f"version {pin.version} answers", lambda: self.served.version == pin.version)
        set_live(
            self.client,
            self.model,
            pin.number,
            commit=str(made["commit"]),
            code_commit=made["code_commit"],
            environment="staging",
            champion=False,
        )

    @property
    def served(self) -> Served:
        return self.servers.served

    @property
    def candidate(self) -> Served:
        return self.servers.candidate

    @property
    def production(self) -> Served:
        return self.servers.production

    def params(self, **changes: Any) -> dict[str, Any]:
        return {"registered_model": self.model, "hyperparameters": {"map50": 0.9}, **changes}

    def versions(self) -> list[int]:
        found = self.client.search_model_versions(f"name = '{self.model}'")
        return sorted(int(version.version) for version in found)

    def alias(self, name: str = "staging") -> str | None:
        """The version that has an alias: that of the stage which a run releases to, or another one."""
        aliases: dict[str, str] = self.client.get_registered_model(self.model).aliases
        return aliases.get(name)


@dataclass
class Finished:
    """A DAG run that has ended."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    run_id: str
    pull: Callable[..., Any]
    text: str


Run = Callable[..., Finished]


def finish(
    capfd: pytest.CaptureFixture[str], dag_id: str, params: dict[str, Any], folder: Path = ROOT / "dags"
) -> Finished:
    """Run a DAG to its end in this process; every task with Airflow's own task runner."""
    from airflow.dag_processing.dagbag import DagBag

    # Its file alone: reading all of them is a fifth of what a run costs here, and test_dags.py does it.
    [file] = folder.rglob(f"{dag_id}.py")
    bag = DagBag(str(file))
    assert bag.import_errors == {}
    capfd.readouterr()
    ended = bag.dags[dag_id].test(run_conf=params)
    said = capfd.readouterr()
    instances = ended.get_task_instances()
    by_id = {instance.task_id: instance for instance in instances}

    def pull(task_id: str, key: str = "return_value") -> Any:
        return by_id[task_id].xcom_pull(task_ids=task_id, key=key)

    return Finished(
        str(ended.state),
        {instance.task_id: str(instance.state) for instance in instances},
        {instance.task_id: instance.try_number for instance in instances},
        ended.run_id,
        pull,
        said.out + said.err,
    )
