"""What a release has put beside the code, where the whole model folder is published (KServe): then MLflow is not asked.

    1/published/objects/<sha256>.onnx   the version's files, as the cache names them
    1/published/version.json            its run and tags in MLflow

They are copied into the cache, from which everything is served and where each checksum is computed.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from model_server.cache import Cache
from model_server.errors import LoadError
from model_server.record import record_of
from model_server.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "published"


def take_over(cache: Cache, settings: Settings, folder: Path = FOLDER) -> None:
    """Puts the published files of this very version into the cache; nothing where none were published.

    Raises:
        LoadError: what is there cannot be read, or the cache cannot be written.
    """
    index = folder / "version.json"
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        record = record_of(told["name"], int(told["version"]), told["run_id"], told["tags"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{index} cannot be read ({error!r}): publish the version again") from error
    if (record.name, record.version) != (settings.name, settings.version):
        return
    for file in sorted((folder / "objects").glob("*.onnx")):
        if cache.read(file.stem) is None:
            with cache.incoming() as incoming:
                cache.write(file.stem, Path(shutil.copyfile(file, incoming / file.name)))
    cache.remember(settings, replace(record, sha256=settings.sha256 or record.sha256))
