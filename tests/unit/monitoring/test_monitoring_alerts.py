"""Each alert fires when it should, with the text that a person reads, and is quiet otherwise: by promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.support import rendered

CASES = Path(__file__).with_name("alert_cases.yaml")
MONITORED = rendered.render(rendered.VALUES)


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the cases against the rules that are rendered into ``folder``."""
    shutil.copy(CASES, folder)
    return rendered.promtool(folder, "test", "rules", CASES.name)


def test_alerts_fire_and_do_not_fire(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rendered.rule_groups(MONITORED)))
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_to_be_quiet() -> None:
    tests = [test for case in yaml.safe_load(CASES.read_text())["tests"] for test in case["alert_rule_test"]]
    alerts = set(rendered.rules(MONITORED, "alert"))
    assert {test["alertname"] for test in tests if test.get("exp_alerts")} == alerts
    assert {test["alertname"] for test in tests if not test.get("exp_alerts")} == alerts


def test_the_cases_notice_alerts_that_never_fire(tmp_path: Path) -> None:
    file = rendered.rule_groups(rendered.render(rendered.VALUES))
    alerts = [rule for group in file["groups"] for rule in group["rules"] if "alert" in rule]
    for rule in alerts:
        rule["expr"] = "vector(0) > 1"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(file))
    done = run(tmp_path)
    assert done.returncode != 0
    for rule in alerts:
        assert f"alertname: {rule['alert']}" in done.stdout + done.stderr
