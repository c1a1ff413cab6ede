"""The names of Airflow's metrics, against the Airflow that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml

from tests.support import rendered

# What Airflow sends by StatsD → what the official chart's mapping makes of it, and the rules and the dashboard use.
MAPPED = {
    "dagrun.duration.success.{dag_id}": "airflow_dagrun_duration",
    "dagrun.duration.failed.{dag_id}": "airflow_dagrun_failed",
    "dag.{dag_id}.{task_id}.duration": "airflow_task_duration",
}


def test_airflow_sends_the_timers_that_the_rules_rest_on() -> None:
    # Found and read, not imported: importing Airflow makes folders in the home directory.
    spec = importlib.util.find_spec("airflow")
    assert spec is not None and spec.origin is not None
    airflow = Path(spec.origin).parent
    template = airflow / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    listed = yaml.safe_load(template.read_text())["metrics"]
    timers = {metric["legacy_name"] for metric in listed if metric["type"] == "timer"}
    assert set(MAPPED) <= timers
    # The mapping knows these names only, not the newer ones with tags.
    options = yaml.safe_load((airflow / "config_templates" / "config.yml").read_text())["metrics"]["options"]
    assert options["legacy_names_on"]["default"] == "True"


def test_the_rules_and_the_dashboard_use_no_other_of_airflows_metrics() -> None:
    manifests = rendered.render(rendered.VALUES)
    texts = [rule["expr"] for kind in ("alert", "record") for rule in rendered.rules(manifests, kind).values()]
    texts += [query.expression for query in rendered.queries_of(rendered.dashboard_of(manifests))]
    used = {name for text in texts for name in rendered.metric_names(text) if name.startswith("airflow_")}
    assert {name.removesuffix("_count").removesuffix("_sum") for name in used} == set(MAPPED.values())
