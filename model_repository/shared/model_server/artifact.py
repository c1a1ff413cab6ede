"""Brings the bytes of the version to serve, from the cache or from MLflow, verified wherever a sha256 is known.

Git pins the checksum of the FP32 file, and that file names the checksum of its INT8 sibling: both are pinned.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from model_server import published
from model_server.cache import Cache
from model_server.errors import LoadError
from model_server.onnx_metadata import Sibling
from model_server.record import VersionRecord
from model_server.registry import SIBLINGS, Registry
from model_server.settings import Settings

Log = Callable[[str], None]

# The version can be served without its siblings: an unreachable server is waited for less long than for the version.
SIBLING_SECONDS = 30.0


def cache_of(settings: Settings) -> Cache:
    """The cache that the settings name."""
    return Cache(settings.cache_dir, int(settings.cache_limit_mb * 2**20))


def load_artifact(settings: Settings, log: Log) -> tuple[bytes, VersionRecord]:
    """Finds the version and returns its ONNX file and what MLflow says about it.

    The sha256 of the settings (the values file's) decides; without it, the one that is tagged on the version.

    Raises:
        LoadError: it does not exist, did not arrive in time, or is not what it should be.
    """
    cache = cache_of(settings)
    cache.open()
    published.take_over(cache, settings)
    known = cache.record(settings)
    if settings.sha256 and known is not None and known.sha256 == settings.sha256:
        content = cache.read(settings.sha256)
        if content is not None:
            log(f"{_title(settings)}: from the cache, sha256 {settings.sha256} as the settings say")
            return content, known

    registry = Registry(settings, log)
    record = _found(settings, registry)
    expected = settings.sha256 or record.sha256
    content = cache.read(expected) if expected else None
    if content is not None:
        log(f"{_title(settings)}: from the cache, sha256 {expected} {_source(settings)}")
    else:
        content, expected = _download(settings, registry, cache, expected, log)
    record = replace(record, sha256=expected)
    cache.remember(settings, record)
    return content, record


def load_record(settings: Settings, log: Log) -> VersionRecord:
    """What MLflow says about the version, from the cache where that has the pinned file.

    Raises:
        LoadError: it does not exist, MLflow did not answer in time, or it is another file than the settings say.
    """
    cache = cache_of(settings)
    cache.open()
    published.take_over(cache, settings)
    known = cache.record(settings)
    if settings.sha256 and known is not None and known.sha256 == settings.sha256:
        return known
    return _found(settings, Registry(settings, log))


def load_sibling(settings: Settings, sibling: Sibling, log: Log) -> bytes:
    """Returns a further file of the version, which its ONNX file names.

    Raises:
        LoadError: it is not there, did not arrive in time, or is not the one that the ONNX file names.
    """
    cache = cache_of(settings)
    content = cache.read(sibling.sha256)
    if content is not None:
        log(f"{_title(settings)}: {sibling.file} from the cache, sha256 {sibling.sha256} as its ONNX file says")
        return content
    with cache.incoming() as folder:
        patience = min(settings.load_timeout, SIBLING_SECONDS)
        file = Registry(replace(settings, load_timeout=patience), log).download_sibling(sibling.file, folder)
        content = file.read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        if (len(content), actual) != (sibling.size, sibling.sha256):
            raise LoadError(
                f"{sibling.file} of {_title(settings)} as downloaded has sha256 {actual} ({len(content)} bytes), but "
                f"its ONNX file names {sibling.sha256} ({sibling.size} bytes): the file in MLflow was changed or is "
                "damaged; register the version again"
            )
        cache.write(actual, file)
    log(f"{_title(settings)}: {sibling.file} downloaded, {len(content)} bytes, sha256 {actual} as its ONNX file says")
    return content


def _found(settings: Settings, registry: Registry) -> VersionRecord:
    record = registry.find_version()
    if settings.sha256 and record.sha256 and settings.sha256 != record.sha256:
        raise LoadError(
            f"{_title(settings)} has sha256 {record.sha256} in MLflow, but {settings.sha256} is expected (sha256 in "
            "the values file, or MODEL_SHA256): correct it, or serve the version that it belongs to"
        )
    return record


def _download(settings: Settings, registry: Registry, cache: Cache, expected: str, log: Log) -> tuple[bytes, str]:
    with cache.incoming() as folder:
        file = registry.download(folder)
        content = file.read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        if expected and actual != expected:
            raise LoadError(
                f"{_title(settings)} as downloaded has sha256 {actual} ({len(content)} bytes), but {expected} is "
                f"expected {_source(settings)}: the file in MLflow was changed or is damaged; serve another version or "
                "register it again"
            )
        for other in folder.rglob(f"{SIBLINGS}/*"):  # arrived with it
            if other.is_file():
                cache.write(hashlib.sha256(other.read_bytes()).hexdigest(), other)
        cache.write(actual, file)
    if expected:
        log(f"{_title(settings)}: downloaded {len(content)} bytes, sha256 {actual} {_source(settings)}")
    else:
        log(
            f"{_title(settings)}: downloaded {len(content)} bytes, sha256 {actual}, NOT CHECKED: the version has no "
            "tag sha256 and MODEL_SHA256 is not set"
        )
    return content, actual


def _title(settings: Settings) -> str:
    return f"{settings.name!r} version {settings.version}"


def _source(settings: Settings) -> str:
    return "as the settings say" if settings.sha256 else "as the version's tag says"
