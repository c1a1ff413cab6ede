"""A published model folder: its files are served without MLflow, by the checksum that Git names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from model_server import published
from model_server.artifact import cache_of
from model_server.errors import LoadError
from model_server.settings import Settings

CONTENT = b"an ONNX file"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("http://127.0.0.1:9", "digits-detector", 3, SHA256, tmp_path / "cache")


def folder(root: Path, text: str) -> Path:
    (root / "objects").mkdir(parents=True)
    (root / "objects" / f"{SHA256}.onnx").write_bytes(CONTENT)
    (root / "version.json").write_text(text)
    return root


def told(version: int = 3) -> str:
    tags = {"sha256": SHA256, "class_names": '["red", "green"]', "image_size": "64"}
    return json.dumps({"name": "digits-detector", "version": version, "run_id": "r1", "tags": tags})


def test_what_is_published_is_in_the_cache_as_if_mlflow_had_been_asked(settings: Settings, tmp_path: Path) -> None:
    cache = cache_of(settings)
    cache.open()
    published.take_over(cache, settings, folder(tmp_path / "published", told()))
    record = cache.record(settings)
    assert record is not None and cache.read(SHA256) == CONTENT
    assert (record.sha256, record.run_id, record.class_names, record.image_size) == (SHA256, "r1", ["red", "green"], 64)


def test_another_version_is_left_alone_and_a_damaged_index_is_told(settings: Settings, tmp_path: Path) -> None:
    cache = cache_of(settings)
    cache.open()
    published.take_over(cache, settings, tmp_path / "absent")
    published.take_over(cache, settings, folder(tmp_path / "other", told(version=4)))
    assert cache.record(settings) is None
    with pytest.raises(LoadError, match="publish the version again"):
        published.take_over(cache, settings, folder(tmp_path / "damaged", "{}"))
