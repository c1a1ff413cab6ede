"""Values of a Secret that was stored with a line break at its end."""

from __future__ import annotations

import pytest
from trainer.variables import without_line_breaks


def test_a_line_break_at_the_end_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000\n",
        "MLFLOW_TRACKING_TOKEN": "secret\r\n",
        "AWS_SECRET_ACCESS_KEY": " kept \n",
        "MLFLOW_RUN_ID": "r",
        "PS1": "$\n",
    }
    without_line_breaks(environment)
    assert environment == {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_TRACKING_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": " kept ",
        "MLFLOW_RUN_ID": "r",
        "PS1": "$\n",
    }
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == [
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
    ]
    assert "secret" not in said
