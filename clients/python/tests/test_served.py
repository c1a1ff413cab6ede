"""What a server says of itself is read, and compared with its configuration."""

from typing import Any

import numpy as np
import pytest
from yolo_client import DetectorError, ServedModel, WrongModelServed
from yolo_client.served import check_against_config, parse_model_info

SERVED = ServedModel("digits-detector", 3, "run", "ab" * 32, ("zero", "one"), 160)


def parameters(**values: str) -> dict[str, Any]:
    """A model's configuration with parameters."""
    return {"parameters": {key: {"string_value": value} for key, value in values.items()}}


def test_the_configuration_must_not_promise_something_else() -> None:
    check_against_config(SERVED, {})
    check_against_config(SERVED, parameters(mlflow_model_version="3", sha256="ab" * 32, other="x"))
    with pytest.raises(WrongModelServed, match="mlflow_model_version 4, but what it has in memory is 3"):
        check_against_config(SERVED, parameters(mlflow_model_version="4"))


def test_model_info_of_another_server() -> None:
    for content in (b"not json", b"{}", b"[]", b'{"name": "x", "version": "y"}'):
        with pytest.raises(WrongModelServed, match="not that of this project's detector"):
            parse_model_info(np.frombuffer(content, np.uint8)[None])


def test_a_wrong_model_is_no_reason_to_ask_again() -> None:
    assert issubclass(WrongModelServed, DetectorError) and not WrongModelServed.retryable
