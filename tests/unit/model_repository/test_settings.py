"""Settings: the model's parameters before the environment, and a clear line for each wrong one."""

import os
from pathlib import Path

import pytest
from model_server.errors import LoadError
from model_server.settings import SOURCES, Settings, read_settings

BY_HAND = {
    "MLFLOW_TRACKING_URI": "http://mlflow:5000",
    "MLFLOW_MODEL_NAME": "digits-detector",
    "MLFLOW_MODEL_VERSION": "3",
}


def config(**parameters: str) -> dict[str, object]:
    """Triton's configuration with these parameters."""
    return {"parameters": {key: {"string_value": value} for key, value in parameters.items()}}


def test_by_hand() -> None:
    settings = read_settings({}, BY_HAND)
    assert (settings.tracking_uri, settings.name, settings.version) == ("http://mlflow:5000", "digits-detector", 3)
    assert settings.sha256 is None and settings.threads is None
    assert (settings.confidence, settings.iou) == (0.25, 0.7)
    assert str(os.getuid()) in settings.cache_dir.name, "the default cache is one for each user"


def test_every_setting_can_be_a_parameter_and_goes_before_the_environment() -> None:
    values = {
        "tracking_uri": "http://other:5000",
        "name": "cars",
        "version": "12",
        "sha256": "AB" * 32,
        "code_commit": "c0de" * 10,
        "cache_dir": "/var/cache/models",
        "cache_limit_mb": "100",
        "load_timeout": "60",
        "request_timeout": "5",
        "threads": "4",
        "confidence": "0.4",
        "iou": "0.5",
        "max_side": "1280",
        "max_pixels": "9e6",
        "shapes": "2",
        "engine": "openvino",
        "precision": "bf16",
        "on_crash": "stay",
    }
    wrong = {variable: "wrong" for _, variable in SOURCES.values()}
    given = config(**{SOURCES[field][0]: value for field, value in values.items()})
    expected = Settings(
        "http://other:5000",
        "cars",
        12,
        "ab" * 32,
        Path("/var/cache/models"),
        "c0de" * 10,
        100,
        60,
        5,
        4,
        0.4,
        0.5,
        1280,
        9_000_000,
        2,
        "openvino",
        "bf16",
        "stay",
    )
    assert set(SOURCES) == set(values) == set(Settings.__dataclass_fields__)
    assert read_settings(given, wrong) == expected
    assert read_settings({}, {SOURCES[field][1]: value for field, value in values.items()}) == expected


def test_an_empty_parameter_is_none() -> None:
    assert read_settings(config(mlflow_model_version="", sha256=" "), BY_HAND).version == 3


@pytest.mark.parametrize("variable", BY_HAND)
def test_a_missing_one_is_named(variable: str) -> None:
    with pytest.raises(LoadError, match=variable):
        read_settings({}, {key: value for key, value in BY_HAND.items() if key != variable})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLFLOW_MODEL_VERSION", "0"),
        ("MLFLOW_MODEL_VERSION", "-1"),
        ("MLFLOW_MODEL_VERSION", "1.5"),
        ("MLFLOW_MODEL_VERSION", "nan"),
        ("MLFLOW_MODEL_VERSION", "champion"),
        ("MODEL_SHA256", "12"),
        ("MODEL_SHA256", "g" * 64),
        ("MODEL_CONFIDENCE", "1.01"),
        ("MODEL_IOU", "-0.1"),
        ("MODEL_THREADS", "many"),
        ("MODEL_LOAD_TIMEOUT", "0"),
        ("MODEL_ENGINE", "tensorflow"),
        ("MODEL_PRECISION", "int4"),
    ],
)
def test_a_wrong_one_is_named_with_its_value_in_one_line(variable: str, value: str) -> None:
    with pytest.raises(LoadError) as raised:
        read_settings({}, BY_HAND | {variable: value})
    assert variable in str(raised.value) and repr(value) in str(raised.value)
    assert "\n" not in str(raised.value)
