"""The chart's objects for Prometheus and Grafana: off by default, and fitting what else it renders."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
import yaml

from tests.support import rendered
from tests.support.paths import ROOT
from tests.support.rendered import PARTS, VALUES, Manifest, one, panels_of, queries_of, render, rules

MONITORED = render(VALUES)
DASHBOARD = rendered.dashboard_of(MONITORED)
DOCS = ROOT / "docs" / "monitoring.md"


def switched(**on: bool) -> Manifest:
    """The values of the ci file with only these parts on."""
    values = copy.deepcopy(VALUES)
    for part in PARTS:
        values["monitoring"][part]["enabled"] = on.get(part, False)
    return values


def server_arguments(manifests: list[Manifest]) -> list[str]:
    """Arguments of tritonserver."""
    (container,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    arguments: list[str] = container["args"]
    return arguments


def test_nothing_is_rendered_when_disabled() -> None:
    kinds = {manifest["kind"] for manifest in render(switched())}
    assert kinds.isdisjoint(PARTS.values())
    assert not [argument for argument in server_arguments(render(switched())) if "metrics-config" in argument]


def test_everything_is_off_by_default() -> None:
    values = copy.deepcopy(VALUES)
    del values["monitoring"]
    assert {manifest["kind"] for manifest in render(values)}.isdisjoint(PARTS.values())


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_a_switch_and_brings_the_quantiles(part: str) -> None:
    manifests = render(switched(**{part: True}))
    assert {manifest["kind"] for manifest in manifests} & set(PARTS.values()) == {PARTS[part]}
    assert "--metrics-config=summary_latencies=true" in server_arguments(manifests)


def test_the_service_monitor_finds_the_services_port() -> None:
    monitor, service = one(MONITORED, "ServiceMonitor"), one(MONITORED, "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    # Rules and dashboard tell releases apart by `job`, which the operator takes from this label.
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == rendered.RELEASE
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_git_names_just_the_models_that_have_a_version() -> None:
    groups = rendered.rule_groups(MONITORED)["groups"]
    named = [rule for group in groups for rule in group["rules"] if rule.get("record") == "yolo:git_model:info"]
    model = VALUES["models"][0]
    assert [rule["labels"] for rule in named] == [
        {
            "namespace": "staging",
            "job": "detector",
            "model": model["name"],
            "registered_model": model["registeredModel"],
            "version": str(model["version"]),
            "run_id": model["runId"],
            "sha256": model["sha256"],
            "code_commit": model["codeCommit"],
        }
    ]


@pytest.mark.parametrize(("part", "alert"), [("training", "YoloTrainingOverdue"), ("argocd", "YoloArgoCdOutOfSync")])
def test_alerts_on_what_is_not_scraped_can_be_left_out(part: str, alert: str) -> None:
    values = copy.deepcopy(VALUES)
    values["monitoring"]["prometheusRule"].setdefault(part, {})["enabled"] = False
    assert set(rules(MONITORED, "alert")) - set(rules(render(values), "alert")) == {alert}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_every_server_is_watched_as_delivered_and_trainings_where_a_schedule_is(environment: str) -> None:
    pipelines = [yaml.safe_load(path.read_text()) for path in (ROOT / "dags" / "pipelines").glob("*.yaml")]
    scheduled = any(each.get("run", {}).get("schedule", "none") not in (None, "none") for each in pipelines)
    delivered = yaml.safe_load((ROOT / "argocd-apps" / environment / "environment.yaml").read_text())
    # The ApplicationSet names the repository, and the environment the branch.
    delivered["modelRepository"]["gitSync"] |= VALUES["modelRepository"]["gitSync"]
    found = render({"models": VALUES["models"], **delivered})
    assert {manifest["kind"] for manifest in found} >= set(PARTS.values())
    assert ("YoloTrainingOverdue" in rules(found, "alert")) is scheduled


def test_promtool_accepts_the_rules_and_finds_no_two_alike(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    other = render(VALUES, namespace="production")
    groups = [*rendered.rule_groups(MONITORED)["groups"], *rendered.rule_groups(other)["groups"]]
    file.write_text(yaml.safe_dump({"groups": groups}))
    done = rendered.promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_how_bad_it_is_and_leads_to_its_section() -> None:
    headings = {line.removeprefix("### ").strip() for line in DOCS.read_text().splitlines() if line.startswith("### ")}
    for name, alert in rules(MONITORED, "alert").items():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"].endswith(f"docs/monitoring.md#{name.lower()}")
        assert name in headings, f"docs/monitoring.md has no section {name}"


def test_the_page_has_no_section_of_an_alert_that_is_gone() -> None:
    sections = {line.removeprefix("### ").strip() for line in DOCS.read_text().splitlines() if line.startswith("### ")}
    assert {section for section in sections if section.startswith("Yolo")} == set(rules(MONITORED, "alert"))


def test_the_dashboard_opens_on_its_release_and_has_an_id_of_its_own() -> None:
    other = rendered.dashboard_of(render(VALUES, namespace="production"))
    assert DASHBOARD["uid"] != other["uid"] and len(DASHBOARD["uid"]) <= 40
    assert (DASHBOARD["title"], other["title"]) == ("Detectors: staging/detector", "Detectors: production/detector")
    assert rendered.variables_of(other)["namespace"] == "production"
    assert [link["title"] for link in DASHBOARD["links"]][1:] == ["Airflow", "MLflow"]


def test_grafana_can_read_the_dashboard() -> None:
    assert DASHBOARD["schemaVersion"] >= 39, "Grafana 11 and later"
    (source,) = [entry for entry in DASHBOARD["templating"]["list"] if entry["type"] == "datasource"]
    wanted = {"type": "prometheus", "uid": "${" + source["name"] + "}"}
    panels = panels_of(DASHBOARD)
    assert len({panel["id"] for panel in panels}) == len(panels)
    for holder in [panel for panel in panels if panel["type"] != "row"] + [
        note for note in DASHBOARD["annotations"]["list"] if not note.get("builtIn")
    ]:
        assert holder["datasource"] == wanted
    for panel in panels:
        for target in panel.get("targets", []):
            assert target["datasource"] == wanted


def test_each_panel_tells_what_it_shows() -> None:
    for panel in panels_of(DASHBOARD):
        assert panel["title"]
        if panel["type"] != "row":
            assert len(panel["description"]) > 15, panel["title"]
            assert panel["type"] in {"table", "state-timeline"} or panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]


def test_no_two_panels_overlap() -> None:
    def cells(panel: Manifest) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        return set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))

    for first, second in itertools.combinations(DASHBOARD["panels"], 2):
        assert not cells(first) & cells(second), f"{first['title']} and {second['title']}"


def test_panels_turn_red_where_alerts_begin() -> None:
    limits = {"p99 latency": 0.5, "Latency p50 and p99": 0.5, "Requests failing": 0.05}
    limits["Last successful training"] = 1 * 86400
    for panel in DASHBOARD["panels"]:
        if panel["title"] in limits:
            assert limits.pop(panel["title"]) == panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
    assert not limits


def test_each_query_uses_variables_that_there_are() -> None:
    variables = rendered.variables_of(DASHBOARD, __rate_interval="1m")
    for query in queries_of(DASHBOARD):
        # $1 is label_replace's own.
        assert "$" not in rendered.substituted(query.expression, variables).replace('"$1"', ""), query.where


def test_what_is_recorded_is_used_and_the_other_way_round() -> None:
    texts = [rule["expr"] for rule in rules(MONITORED, "alert").values()]
    texts += [query.expression for query in queries_of(DASHBOARD)]
    keda = yaml.safe_load((rendered.CHART / "ci" / "keda-values.yaml").read_text())
    texts += [trigger["metadata"]["query"] for trigger in one(render(keda), "ScaledObject")["spec"]["triggers"]]
    used = {name for text in texts for name in rendered.metric_names(text) if name.startswith("yolo:")}
    proving = copy.deepcopy(VALUES)
    proving["models"][0]["candidate"] = {"version": 4, "sha256": "6" * 64}
    assert used == set(rules(render(proving), "record"))
