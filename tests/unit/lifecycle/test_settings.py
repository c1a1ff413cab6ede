"""Settings are checked when they are read."""

from __future__ import annotations

import pytest
from lifecycle.settings import settings
from pydantic import ValidationError

from tests.support.airflow_connections import Connect


def test_wrong_setting_is_named(connect: Connect) -> None:
    connect("unused", {"conn_type": "http"}, ROLLOUT_TIMEOUT="soon")
    with pytest.raises(ValidationError, match="rollout_timeout"):
        settings()
