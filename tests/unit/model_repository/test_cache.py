"""The cache: verified, bounded, shared."""

import hashlib
import os
import resource
import time
from pathlib import Path

import pytest
from model_server.cache import ABANDONED_SECONDS, Cache
from model_server.errors import LoadError
from model_server.record import VersionRecord
from model_server.settings import Settings


def put(cache: Cache, content: bytes) -> str:
    """Stores content and returns its checksum."""
    sha256 = hashlib.sha256(content).hexdigest()
    with cache.incoming() as folder:
        (folder / "model.onnx").write_bytes(content)
        cache.write(sha256, folder / "model.onnx")
    return sha256


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An opened cache of 100 bytes."""
    found = Cache(tmp_path / "cache", 100)
    found.open()
    return found


def test_what_was_written_is_read(cache: Cache) -> None:
    sha256 = put(cache, b"model")
    assert cache.read(sha256) == b"model"
    assert cache.read("0" * 64) is None


def test_a_disk_that_takes_no_more_is_named_with_the_way_out(cache: Cache, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))
    try:
        with pytest.raises(LoadError, match=r"cache .* cannot be written .*: make room there"):
            put(cache, b"model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "cache" / "incoming").iterdir()) == list((tmp_path / "cache" / "objects").iterdir()) == []
    assert cache.read(put(cache, b"model")) == b"model"


def test_a_damaged_entry_is_removed(cache: Cache, tmp_path: Path) -> None:
    sha256 = put(cache, b"model")
    file = tmp_path / "cache" / "objects" / f"{sha256}.onnx"
    file.write_bytes(b"mode")
    assert cache.read(sha256) is None
    assert not file.exists()


def test_the_longest_unused_go_beyond_the_limit(cache: Cache, tmp_path: Path) -> None:
    first, second = put(cache, b"a" * 40), put(cache, b"b" * 40)
    for age, sha256 in ((20, first), (10, second)):
        os.utime(tmp_path / "cache" / "objects" / f"{sha256}.onnx", (time.time() - age,) * 2)
    assert cache.read(first) is not None, "reading is using"
    third = put(cache, b"c" * 40)
    assert [cache.read(sha256) is not None for sha256 in (first, second, third)] == [True, False, True]


def test_one_that_is_larger_than_the_limit_is_kept_while_it_is_the_newest(cache: Cache) -> None:
    first = put(cache, b"a" * 40)
    large = put(cache, b"b" * 400)
    assert cache.read(large) is not None and cache.read(first) is None


def test_what_a_killed_download_left_is_removed_and_a_running_one_is_not(tmp_path: Path) -> None:
    incoming = tmp_path / "cache" / "incoming"
    for name, age in (("old", ABANDONED_SECONDS + 60), ("running", 60)):
        (incoming / name).mkdir(parents=True)
        (incoming / name / "model.onnx").write_bytes(b"part")
        os.utime(incoming / name, (time.time() - age,) * 2)
    Cache(tmp_path / "cache", 100).open()
    assert [entry.name for entry in incoming.iterdir()] == ["running"]


def test_a_failed_download_leaves_nothing(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="gone"), cache.incoming() as folder:
        (folder / "model.onnx").write_bytes(b"half")
        raise RuntimeError("gone")
    assert not list((tmp_path / "cache" / "incoming").iterdir())
    assert not list((tmp_path / "cache" / "objects").iterdir())


def test_the_record_belongs_to_server_name_and_version(cache: Cache) -> None:
    settings = Settings("http://one", "digits", 1, None, Path("/none"))
    record = VersionRecord("digits", 1, "run", "ab" * 32, ["a", "b"], 160)
    cache.remember(settings, record)
    assert cache.record(settings) == record
    for other in ({"tracking_uri": "http://two"}, {"name": "cars"}, {"version": 2}):
        assert cache.record(Settings(**(settings.__dict__ | other))) is None


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"name": 1}', "not json"])
def test_a_damaged_record_is_none(cache: Cache, tmp_path: Path, content: str) -> None:
    settings = Settings("http://one", "digits", 1, None, Path("/none"))
    cache.remember(settings, VersionRecord("digits", 1, "run", "", [], None))
    (file,) = (tmp_path / "cache" / "versions").iterdir()
    file.write_text(content)
    assert cache.record(settings) is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LoadError, match="MODEL_CACHE_DIR"):
        Cache(tmp_path / "file" / "cache", 100).open()


def test_what_tensorrt_built_goes_when_the_model_is_gone(cache: Cache, tmp_path: Path) -> None:
    kept, gone = put(cache, b"a" * 40), put(cache, b"b" * 40)
    for sha256 in (kept, gone):
        (cache.engines(sha256) / "built.engine").write_bytes(b"engine")
    (tmp_path / "cache" / "objects" / f"{gone}.onnx").unlink()
    assert list(cache.engines(kept).iterdir())
    assert [folder.name for folder in (tmp_path / "cache" / "engines").iterdir()] == [kept]
