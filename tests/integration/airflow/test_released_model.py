"""A release updates its registered model's asset, and what hangs on it runs: the example of dags/README.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.support.paths import ROOT


@pytest.fixture
def consumer(platform: Platform, tmp_path: Path) -> str:
    """The documented DAG, for this test's registered model, as Airflow's DAG processor leaves it: known, not paused."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "dags" / "README.md").read_text(), re.DOTALL)
    assert "models:/digits-detector" in example
    folder = tmp_path / "consumer"
    folder.mkdir()
    (folder / "consumer.py").write_text(example.replace("digits-detector", platform.model))
    bag = DagBag(str(folder))
    assert bag.import_errors == {}
    (dag_id,) = bag.dags
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.get_one(DagModel, dag_id).is_paused = False
    return str(dag_id)


def events(model: str) -> list[dict[str, Any]]:
    """The events of a registered model's asset, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    with create_session() as session:
        return list(session.scalars(query.where(AssetModel.uri == f"models:/{model}").order_by(AssetEvent.id)))


def waiting(dag_id: str) -> int:
    """Assets whose update the scheduler will start this DAG for."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    query = select(func.count()).where(AssetDagRunQueue.target_dag_id == dag_id)
    with create_session() as session:
        return int(session.scalar(query) or 0)


@pytest.mark.extended
def test_a_release_updates_the_model_and_starts_what_hangs_on_it(platform: Platform, run: Run, consumer: str) -> None:
    rejected = run(**platform.params(hyperparameters={"map50": 0.1}))
    assert (rejected.tasks["set_alias"], events(platform.model), waiting(consumer)) == ("skipped", [], 0)
    ended = run(**platform.params())
    assert ended.state == "success", ended.text[-5000:]
    (released,) = events(platform.model)
    assert released == {
        "version": 1,
        "code_commit": platform.repository.code,
        "commit": platform.repository.tip,
        "environment": "staging",
        "app": "detector",
        "served_model": "digits",
        "mlflow_run": ended.pull("open_run")["run_id"],
        "dag_run": f"digits/{ended.run_id}",
    }
    assert waiting(consumer) == 1
    assert events("digits-detector") == [], "the run was for another registered model than the file's"
