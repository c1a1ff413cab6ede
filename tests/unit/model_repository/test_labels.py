"""Names of classes for Triton's labels, with no MLflow in reach: what the cache has."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from model_server.cache import Cache
from model_server.errors import LoadError
from model_server.labels import labels_of, notes_of
from model_server.record import VersionRecord
from model_server.settings import Settings
from tiny_onnx import tiny_detector

CONTENT = tiny_detector({"names": "{0: 'zero', 1: 'one', 10: 'ten'}", "task": "classify"})
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a version that the cache knows; nothing listens where MLflow would."""
    cache = Cache(tmp_path / "cache", 1 << 30)
    cache.open()
    with cache.incoming() as folder:
        (folder / "model.onnx").write_bytes(CONTENT)
        cache.write(SHA256, folder / "model.onnx")
    return Settings("http://127.0.0.1:1", "digits", 3, SHA256, tmp_path / "cache", load_timeout=1)


@pytest.mark.parametrize(
    ("tagged", "labels"),
    [(["a", "b"], ["a", "b"]), ([], ["zero", "one", "ten"])],
    ids=["in the tag", "in the file alone"],
)
def test_the_names_are_those_of_the_version(tagged: list[str], labels: list[str], settings: Settings) -> None:
    known = VersionRecord("digits", 3, "run", SHA256, tagged, 64)
    Cache(settings.cache_dir, 1 << 30).remember(settings, known)
    assert labels_of(settings) == labels


def test_a_version_that_the_cache_does_not_know_is_asked_for(settings: Settings) -> None:
    with pytest.raises(LoadError, match="did not give version 3 of the registered model 'digits' within 1 s"):
        labels_of(replace(settings, sha256="0" * 64))


def test_notes_are_found_in_the_file_without_an_engine() -> None:
    assert notes_of(CONTENT)["names"].startswith("{0: 'zero'") and notes_of(CONTENT)["task"] == "classify"
    for wrong in (b"not an ONNX file", b"\xff" * 40):
        with pytest.raises(LoadError, match="is not an ONNX model"):
            notes_of(wrong)
