"""Every query of the dashboard and every alert, asked of a real Prometheus that scrapes real Tritons under load.

The tests run in the order of this file: each continues from the state in which the one before it has left the release.
"""

from __future__ import annotations

import urllib.request

import numpy as np
import pytest

from tests.integration.monitoring.watched import MODEL, Release, infer, values_for
from tests.support.mlflow import Registered
from tests.support.processes import end
from tests.support.rendered import (
    NAMESPACE,
    RELEASE,
    VALUES,
    Query,
    dashboard_of,
    metric_names,
    queries_of,
    render,
    rules,
    substituted,
    variables_of,
)

pytestmark = pytest.mark.xdist_group("monitoring")

MONITORED = render(VALUES)
DASHBOARD = dashboard_of(MONITORED)
QUERIES = queries_of(DASHBOARD)
ALERTS = sorted(rules(MONITORED, "alert"))
RELEASED = f'namespace="{NAMESPACE}",job="{RELEASE}"'
# Grafana's own for a source that is scraped every second, and a little more.
VARIABLES = variables_of(DASHBOARD, __rate_interval="15s")


def expression(alert: str, version: Registered, **limits: float) -> str:
    """An alert's PromQL, for the release whose Git names a version."""
    text: str = rules(render(values_for(version, **limits)), "alert")[alert]["expr"]
    return text


def quiet(alert: str, version: Registered) -> str:
    """The same with limits that nothing on a busy machine reaches."""
    return expression(alert, version, maxP99Seconds=30, maxQueueSeconds=30)


def strict(alert: str, version: Registered) -> str:
    """The same with limits that the least trouble passes."""
    return expression(alert, version, maxFailureRatio=0, maxP99Seconds=1e-6, maxQueueSeconds=1e-6)


def test_a_training_is_overdue_until_one_has_succeeded(release: Release, versions: list[Registered]) -> None:
    overdue = expression("YoloTrainingOverdue", versions[0])
    release.prometheus.wait(overdue)
    release.documented.succeeded = release.documented.failed = 1
    release.prometheus.wait(overdue, present=False)
    (known,) = release.prometheus.now(f"time() - yolo:training_success:timestamp_seconds{{{RELEASED}}}")
    assert 0 <= known["value"] < 60


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_of_the_dashboard_finds_something(query: Query, release: Release) -> None:
    text = substituted(query.expression, VARIABLES)
    assert release.prometheus.wait(text) if query.instant else release.prometheus.wait_lately(text)


def test_a_query_that_finds_nothing_would_be_noticed(release: Release) -> None:
    # A name that dashboards for Triton are published with, and that Triton has not got.
    nothing = f"rate(nv_inference_compute_duration_us{{{RELEASED}}}[1m])"
    for wait in (release.prometheus.wait, release.prometheus.wait_lately):
        with pytest.raises(AssertionError, match="still nothing"):
            wait(nothing, seconds=1)


# Recorded only while a version is proved as a candidate; tests/unit/monitoring/alert_cases.yaml has such a time.
OF_CANDIDATES = {"yolo:git_candidate:info"}


def test_every_metric_that_is_named_is_there(release: Release) -> None:
    there = set(release.prometheus.get("label/__name__/values")) | {"ALERTS"}
    texts = [query.expression for query in QUERIES] + [rule["expr"] for rule in rules(MONITORED, "alert").values()]
    texts += [rule["expr"] for rule in rules(MONITORED, "record").values()]
    assert {name for text in texts for name in metric_names(text)} - OF_CANDIDATES <= there


def test_the_variables_find_this_release(release: Release) -> None:
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            series = release.prometheus.get("series", **{"match[]": substituted(selector, VARIABLES)})
            values = {found[label] for found in series}
            assert values == {{"namespace": NAMESPACE, "job": RELEASE, "model": MODEL}[variable["name"]]}


def test_prometheus_can_evaluate_every_rule(release: Release) -> None:
    found = [rule for group in release.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in found} == set(ALERTS) | set(rules(MONITORED, "record"))
    assert [(rule["name"], rule.get("lastError")) for rule in found if rule["health"] != "ok"] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_no_alert_fires_while_all_is_well(alert: str, release: Release, versions: list[Registered]) -> None:
    release.prometheus.wait(quiet(alert, versions[0]), present=False)


def test_nothing_has_failed_so_far(release: Release, versions: list[Registered]) -> None:
    assert release.prometheus.now(strict("YoloRequestsFailing", versions[0])) == []


@pytest.mark.parametrize("alert", ["YoloRequestsSlow", "YoloRequestsQueueing"])
def test_requests_slower_than_the_limit_are_noticed(alert: str, release: Release, versions: list[Registered]) -> None:
    (found,) = release.prometheus.wait(strict(alert, versions[0]))
    assert found["metric"]["model"] == MODEL and 1e-6 < found["value"] < 30


def test_clients_errors_are_shown_and_are_no_alert(release: Release, versions: list[Registered]) -> None:
    error = infer(release.pods["a"].grpc, np.zeros((1, 3, 33, 33), np.float32))
    assert "multiples of 32" in error
    release.prometheus.wait(f'yolo_request_errors_total{{reason="INVALID_ARG",{RELEASED}}} == 1')
    assert release.prometheus.now(strict("YoloRequestsFailing", versions[0])) == []


def test_errors_within_the_model_are_noticed_although_triton_calls_them_successes(
    release: Release, versions: list[Registered]
) -> None:
    error = infer(release.pods["a"].grpc, np.zeros((1, 3, 352, 352), np.float32))
    assert "inference failed" in error
    release.prometheus.wait(f'yolo_request_errors_total{{reason="INTERNAL",{RELEASED}}} == 1')
    assert not release.prometheus.now(f'nv_inference_request_failure{{_ensemble="",{RELEASED}}} > 0')
    infer(release.pods["a"].grpc, np.zeros((1, 3, 352, 352), np.float32))
    (found,) = release.prometheus.wait(strict("YoloRequestsFailing", versions[0]))
    assert found["metric"]["model"] == MODEL


def test_a_model_process_that_dies_is_noticed(release: Release, versions: list[Registered]) -> None:
    # A pod of its own: Triton, made to stay, may stop answering at all when a model's process dies amid requests.
    release.start_pod("crashing", versions[0])
    release.kill_model_process("crashing")
    release.prometheus.wait(f'nv_inference_request_failure{{reason="BACKEND",{RELEASED}}} > 0')
    panel = next(query for query in QUERIES if query.where == "Failures by reason [A]")
    failing = substituted(panel.expression, VARIABLES)
    assert [series["metric"] for series in release.prometheus.wait(f"({failing}) > 0")] == [{"reason": "BACKEND"}]
    release.end_pod("crashing")


def test_a_rollout_is_seen_and_a_version_that_git_does_not_name_is_noticed(
    release: Release, versions: list[Registered]
) -> None:
    alert = expression("YoloVersionNotInGit", versions[0])
    assert release.prometheus.now(alert) == []
    release.start_pod("b", versions[1], load=False)
    (found,) = release.prometheus.wait(alert)
    assert (found["metric"]["pod"], found["metric"]["version"]) == ("b", "2")
    assert found["metric"]["run_id"] == versions[1].run_id
    panel = next(query for query in QUERIES if query.where.startswith("Pods by version served"))
    served = release.prometheus.now(substituted(panel.expression, VARIABLES))
    assert {(series["metric"]["version"], series["value"]) for series in served} == {("1", 1.0), ("2", 1.0)}
    mark = next(query for query in QUERIES if query.where == "mark: Rollouts")
    marked = release.prometheus.now(substituted(mark.expression, VARIABLES))
    assert "2" in {series["metric"]["version"] for series in marked}


@pytest.mark.parametrize("status", ["OutOfSync", None])
def test_argo_cd_out_of_sync_or_unknown_is_noticed(
    status: str | None, release: Release, versions: list[Registered]
) -> None:
    alert = expression("YoloArgoCdOutOfSync", versions[0])
    release.documented.sync_status = status
    (found,) = release.prometheus.wait(alert)
    assert found["metric"].get("sync_status") == status and found["metric"]["name"] == "staging-detector"
    release.documented.sync_status = "Synced"
    release.prometheus.wait(alert, present=False)


def test_a_server_without_its_model_is_noticed(release: Release, versions: list[Registered]) -> None:
    alert = expression("YoloServerNotReady", versions[0])
    release.prometheus.wait(alert, present=False)
    assert release.pods["b"].control("unload", f"{MODEL}_engine")[0] == 200
    (found,) = release.prometheus.wait(alert)
    assert (found["metric"]["pod"], found["value"]) == ("b", 1.0)
    assert release.prometheus.now(expression("YoloModelNotServed", versions[0])) == [], "the other pod serves it"


def test_servers_that_are_gone_and_a_model_that_nobody_serves_are_noticed(
    release: Release, versions: list[Registered]
) -> None:
    pod = release.pods["a"].process
    assert pod is not None
    end(pod, patience=0)
    (missing,) = release.prometheus.wait(expression("YoloModelNotServed", versions[0]))
    assert (missing["metric"]["model"], missing["metric"]["version"]) == (MODEL, "1")
    down = release.prometheus.wait(f"({expression('YoloServerNotReady', versions[0])}) == 0")
    assert [series["metric"]["pod"] for series in down] == ["a"]


def test_prometheus_has_all_of_it_as_pending_alerts_with_their_texts(release: Release) -> None:
    with urllib.request.urlopen(f"{release.prometheus.url}/-/healthy", timeout=5) as response:
        assert response.status == 200
    alerts = {alert["labels"]["alertname"]: alert for alert in release.prometheus.get("alerts")["alerts"]}
    assert {"YoloModelNotServed", "YoloServerNotReady", "YoloVersionNotInGit"} & set(alerts)
    for alert in alerts.values():
        assert alert["labels"]["namespace"] == NAMESPACE
        for text in alert["annotations"].values():
            assert "{{" not in text and "<error" not in text and "<no value>" not in text
