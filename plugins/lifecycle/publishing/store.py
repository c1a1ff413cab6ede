"""The bucket that published folders are in: each is written once, under a name that is never given twice.

    <url>/<registered model>/<version>-<sha256, 8 digits>-<n>/…       the folder
    <url>/<registered model>/<version>-<sha256, 8 digits>-<n>.json    what it is, and whether it is complete

The file beside it is made first, by a write that fails where there is one: two releases cannot take the same number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifecycle.errors import PublishingFailed
from lifecycle.model.pin import Pin

_NAME = re.compile(r"(?P<version>[1-9][0-9]*)-(?P<sha>[0-9a-f]{8})-(?P<n>[1-9][0-9]*)")
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][-a-z0-9.]*)(/(?P<prefix>[A-Za-z0-9._/=@+-]*))?")


@dataclass(frozen=True)
class Publication:
    """One published folder: `uri`, what it serves, and the release that made it (`made_for`; empty: none).

    `complete`: all of its files are there.
    """

    uri: str
    registered_model: str
    version: int
    sha256: str
    run_id: str
    code_commit: str
    model: str
    made_for: str
    complete: bool

    def serves(self, pin: Pin, model: str) -> bool:
        """Whether its files are those of that version and code, under that name."""
        mine = (self.version, self.sha256, self.code_commit, self.model)
        return self.complete and mine == (pin.version, pin.sha256, pin.code_commit, model)


class Store:
    """The folders below `url`, `s3://<bucket>/<folder>`.

    :param client: boto3's for S3; None: one by its own environment variables.
    """

    def __init__(self, url: str, client: Any = None) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise PublishingFailed(
                f"LIFECYCLE_PUBLISH_URL is {url!r}; set it to s3://<bucket>/<folder>, below which folders are "
                "published for KServe. Nothing was committed."
            )
        self._bucket, self._prefix = match["bucket"], (match["prefix"] or "").strip("/")
        self._client = client or _client()

    def publications(self, registered_model: str = "") -> list[Publication]:
        """Everything that was published, of one registered model or of all, in the order of names."""
        with self._typed("read"):
            return [self._read(key) for key in self._keys(self._key(registered_model)) if self._is_index(key)]

    def claim(self, registered_model: str, model: str, pin: Pin, made_for: str) -> Publication:
        """Take the next number of that version: a folder that nobody has written to, nor will."""
        numbers = [
            int(found["n"])
            for each in self.publications(registered_model)
            if (found := _name_of(each.uri)) and (int(found["version"]), found["sha"]) == (pin.number, pin.sha256[:8])
        ]
        number = max(numbers, default=0) + 1
        while True:
            key = self._key(registered_model, f"{pin.number}-{pin.sha256[:8]}-{number}")
            claimed = Publication(
                f"s3://{self._bucket}/{key}",
                registered_model,
                pin.number,
                pin.sha256,
                pin.run_id,
                pin.code_commit,
                model,
                made_for,
                complete=False,
            )
            if self._write_index(claimed, first=True):
                return claimed
            number += 1

    def upload(self, claimed: Publication, folder: Path) -> Publication:
        """Write the files of a folder, and then that it is complete."""
        with self._typed("write"):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                key = f"{self._key_of(claimed.uri)}/{file.relative_to(folder).as_posix()}"
                self._client.upload_file(str(file), self._bucket, key)
        return self._completed(claimed)

    def copy(self, claimed: Publication, source: Publication) -> Publication:
        """Write the files of another publication, inside the store."""
        with self._typed("write"):
            below = f"{self._key_of(source.uri)}/"
            for key in self._keys(below):
                place = {"Bucket": self._bucket, "Key": key}
                self._client.copy(place, self._bucket, f"{self._key_of(claimed.uri)}/{key.removeprefix(below)}")
        return self._completed(claimed)

    def delete(self, publication: Publication) -> None:
        """Remove a folder, and last what names it: an interrupted removal is found again."""
        key = self._key_of(publication.uri)
        with self._typed("delete"):
            for each in [*self._keys(f"{key}/"), f"{key}.json"]:
                self._client.delete_object(Bucket=self._bucket, Key=each)

    def _completed(self, claimed: Publication) -> Publication:
        done = Publication(**{**asdict(claimed), "complete": True})
        self._write_index(done)
        return done

    def _write_index(self, publication: Publication, *, first: bool = False) -> bool:
        """Whether it was written: with `first`, only where there was none."""
        from botocore.exceptions import ClientError

        body = json.dumps(asdict(publication), indent=2).encode()
        with self._typed("write"):
            try:
                options = {"IfNoneMatch": "*"} if first else {}
                key = f"{self._key_of(publication.uri)}.json"
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **options)
            except ClientError as error:
                if first and error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def _read(self, key: str) -> Publication:
        content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            return Publication(**json.loads(content))
        except (ValueError, TypeError) as error:
            raise PublishingFailed(
                f"s3://{self._bucket}/{key} is not what a release writes there ({error}). Look at it: it may be a file "
                "of somebody else below LIFECYCLE_PUBLISH_URL, which should be the lifecycle's alone."
            ) from error

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            yield from (each["Key"] for each in page.get("Contents", []))

    def _key(self, registered_model: str, *parts: str) -> str:
        """The key of a registered model's folder, or of what is below it."""
        below = "/".join(filter(None, (self._prefix, registered_model and folder_of(registered_model), *parts)))
        return below if parts or not below else f"{below}/"

    def _key_of(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self._bucket}/")

    def _is_index(self, key: str) -> bool:
        name = key.rpartition("/")[2]
        return name.endswith(".json") and _NAME.fullmatch(name.removesuffix(".json")) is not None

    @contextmanager
    def _typed(self, verb: str) -> Iterator[None]:
        """S3's errors as this package's."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            failed = PublishingFailed(
                f"The store could not {verb} below s3://{self._bucket}/{self._prefix}: {error}. Check that the bucket "
                "exists, AWS_ENDPOINT_URL, and that the keys may read and write there. Nothing was committed."
            )
            code = str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
            failed.retryable = code in ("", "500", "503", "InternalError", "SlowDown", "ServiceUnavailable")
            raise failed from error


def folder_of(registered_model: str) -> str:
    """A registered model's name as a part of a key: blanks would have to be escaped in KServe's URIs."""
    return registered_model.replace(" ", "_")


def _name_of(uri: str) -> re.Match[str] | None:
    return _NAME.fullmatch(uri.rstrip("/").rpartition("/")[2])


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise PublishingFailed(
            "Publishing needs the package boto3, which the images of this project have: install it where the release "
            "runs. Nothing was committed."
        ) from error
    # A store that is no AWS has no hosts for its buckets; boto3 has AWS' own where no endpoint is named.
    return boto3.client("s3", config=Config(s3={"addressing_style": "auto"}, retries={"mode": "standard"}))
