"""What a server says of itself is read, and compared with its configuration."""

from dataclasses import replace
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


def test_the_commit_of_the_code_is_the_servers_or_what_the_configuration_of_older_code_tells() -> None:
    config = parameters(code_commit="c" * 40)
    assert check_against_config(SERVED, config).code_commit == "c" * 40
    assert check_against_config(SERVED, {}).code_commit == ""
    newer = replace(SERVED, code_commit="d" * 40)
    assert check_against_config(newer, {}) == newer
    with pytest.raises(WrongModelServed, match=f"code_commit {'c' * 40}, but what it has in memory is {'d' * 40}"):
        check_against_config(newer, config)


def test_model_info_of_another_server() -> None:
    for content in (b"not json", b"{}", b"[]", b'{"name": "x", "version": "y"}'):
        with pytest.raises(WrongModelServed, match="not that of this project's detector"):
            parse_model_info(np.frombuffer(content, np.uint8)[None])


def test_a_wrong_model_is_no_reason_to_ask_again() -> None:
    assert issubclass(WrongModelServed, DetectorError) and not WrongModelServed.retryable
