"""Alerts on models that are not made here, which have no yolo_model_info: by promtool, on what Triton itself writes."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.support import rendered

WHERE = 'namespace="staging",job="detector"'
LOADED = f'nv_inference_request_success{{{WHERE},pod="a",model="densenet_onnx",version="1"}}'
VALUES = {
    "models": [{"name": "densenet_onnx", "source": {"s3": "s3://models/zoo/densenet_onnx/2"}}],
    "monitoring": {"prometheusRule": {"enabled": True}},
}


def fired(folder: Path, series: dict[str, str], alert: str) -> bool:
    """Whether an alert fires after an hour of these series, at zero or one from the start."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rendered.rule_groups(rendered.render(VALUES))))
    given = [{"series": name, "values": values} for name, values in series.items()]
    quiet = [{"eval_time": "60m", "alertname": alert}]
    case = {"interval": "1m", "input_series": given, "alert_rule_test": quiet}
    (folder / "cases.json").write_text(
        json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]})
    )
    done = rendered.promtool(folder, "test", "rules", "cases.json")
    if done.returncode:
        assert "s3://models/zoo/densenet_onnx/2" in done.stdout + done.stderr or alert == "YoloServerNotReady", (
            done.stderr
        )
    return done.returncode != 0


def test_a_loaded_model_is_quiet_before_its_first_request_and_a_missing_one_is_named(tmp_path: Path) -> None:
    up = {f'up{{{WHERE},pod="a"}}': "1x70"}
    for alert in ("YoloModelNotServed", "YoloServerNotReady"):
        assert not fired(tmp_path, {**up, LOADED: "0x70"}, alert)
        assert fired(tmp_path, up, alert)
