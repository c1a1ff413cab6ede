"""When a dataset counts as another one, and the sentence where that cannot be told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifecycle.errors import DatasetUnreadable
from lifecycle.hooks import dataset
from lifecycle.hooks.dataset import fingerprint

from tests.support.processes import free_port
from tests.support.web_files import WebFiles, web_files


@pytest.fixture
def web() -> Iterator[WebFiles]:
    with web_files() as served:
        yield served


def said(uri: str) -> str:
    with pytest.raises(DatasetUnreadable) as caught:
        fingerprint(uri)
    return str(caught.value)


def test_a_web_file_is_another_one_with_its_etag_and_is_not_downloaded(web: WebFiles) -> None:
    address = f"{web.url}/letters.zip"
    web.files["/letters.zip"] = {"ETag": '"one"', "Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT"}
    first = fingerprint(address)
    web.files["/letters.zip"] = {"ETag": '"one"', "Last-Modified": "Tue, 02 Jun 2026 00:00:00 GMT"}
    assert fingerprint(address) == first == 'etag "one"'
    web.files["/letters.zip"] = {"ETag": '"two"', "Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT"}
    assert fingerprint(address) == 'etag "two"'
    assert web.bytes_sent == 0


def test_without_an_etag_time_and_size_tell(web: WebFiles) -> None:
    address = f"{web.url}/letters.zip"
    web.files["/letters.zip"] = {"Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT"}
    first = fingerprint(address)
    assert first == "modified Mon, 01 Jun 2026 00:00:00 GMT, 700 bytes"
    web.files["/letters.zip"] = {"Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT", "Content-Length": "701"}
    assert fingerprint(address) != first


def test_what_a_web_server_refuses_or_keeps_to_itself_is_said(web: WebFiles) -> None:
    web.files = {"/refused.zip": 403, "/silent.zip": {}}
    assert said(f"{web.url}/refused.zip") == f"{web.url}/refused.zip cannot be read: HTTP 403."
    assert said(f"{web.url}/absent.zip").endswith("cannot be read: HTTP 404.")
    assert "its server sends neither ETag nor Last-Modified" in said(f"{web.url}/silent.zip")
    nobody = f"http://127.0.0.1:{free_port()}/letters.zip"
    assert said(nobody).startswith(f"{nobody} cannot be read: ClientConnectorError: Cannot connect to host 127.0.0.1:")


def test_a_file_is_another_one_with_its_time_or_size(tmp_path: Path) -> None:
    archive = tmp_path / "letters.zip"
    archive.write_bytes(b"one")
    os.utime(archive, ns=(0, 1_000_000_000))
    first = fingerprint(str(archive))
    assert fingerprint(archive.as_uri()) == first == "modified 1000000000, 3 bytes"
    archive.write_bytes(b"three")
    os.utime(archive, ns=(0, 1_000_000_000))
    second = fingerprint(str(archive))
    os.utime(archive, ns=(0, 2_000_000_000))
    assert len({first, second, fingerprint(str(archive))}) == 3


def add(folder: Path) -> None:
    (folder / "images" / "b.png").write_bytes(b"b")


def remove(folder: Path) -> None:
    (folder / "images" / "a.png").unlink()


def rename(folder: Path) -> None:
    (folder / "images" / "a.png").rename(folder / "images" / "z.png")


def rewrite(folder: Path) -> None:
    (folder / "images" / "a.png").write_bytes(b"A")
    os.utime(folder / "images" / "a.png", ns=(0, 5))


@pytest.mark.parametrize("change", [add, remove, rename, rewrite])
@pytest.mark.parametrize("name", ["", "data.yaml"])
def test_a_folder_is_another_one_with_any_of_its_files(
    tmp_path: Path, change: Callable[[Path], None], name: str
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "data.yaml").write_text("names: [a]\n")
    watched = str(tmp_path / name)
    first = fingerprint(watched)
    assert fingerprint(watched) == first
    change(tmp_path)
    assert fingerprint(watched) != first


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "cannot be read: FileNotFoundError" in said(str(tmp_path / "absent"))
    (tmp_path / "folder").mkdir()
    shutil.rmtree(tmp_path / "folder")
    assert "cannot be read: FileNotFoundError" in said(str(tmp_path / "folder" / "data.yaml"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dataset.PACKAGES, "s3", "no_such_package")
    assert said("s3://bucket/letters.zip") == (
        "s3://bucket/letters.zip cannot be watched: the package no_such_package is missing. Add it to "
        "docker/airflow/requirements.in."
    )
