"""Fetching: by path, over HTTP and from S3 (real servers), with retries where they help and safe unpacking."""

from __future__ import annotations

import http.server
import io
import os
import re
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trainer import transfer
from trainer.datasets.archive import unpack
from trainer.datasets.cache import materialise
from trainer.errors import InputError, TrainerError
from trainer.tasks.detect.labelling import BOXES
from trainer.transfer import shown

from conftest import MakeTree

MOTO = Path(__file__).resolve().parents[3] / ".venv/dev/bin/moto_server"


@contextmanager
def _serve(content: bytes, failures: int = 0, status: int = 503) -> Iterator[tuple[str, list[str]]]:
    """A web server that answers with an error so many times before it gives the content; its URL and its requests."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def _answer(self, head: bool) -> None:
            requests.append(self.command)
            if len(requests) <= failures:
                self.send_error(status)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not head:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.zip", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _zipped(root: Path) -> bytes:
    return Path(shutil.make_archive(str(root) + "-packed", "zip", root)).read_bytes()


def test_an_archive_over_http_is_the_same_dataset(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    with _serve(_zipped(root)) as (url, _):
        fetched = materialise(f"{url}?signature=secret", tmp_path / "one", BOXES)
    assert fetched.digest == materialise(str(root), tmp_path / "two", BOXES).digest
    assert "secret" not in str(fetched.summary)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited before each new attempt; none is."""
    found: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", found.append)
    return found


def test_a_server_that_fails_for_a_while_is_asked_again_ever_later(
    make_tree: MakeTree, tmp_path: Path, pauses: list[float]
) -> None:
    with _serve(_zipped(make_tree()), failures=3) as (url, requests):
        assert materialise(url, tmp_path / "workspace", BOXES).digest
    assert len(requests) > 3
    assert pauses
    for attempt, pause in enumerate(pauses):
        assert 2**attempt / 2 <= pause <= 2**attempt


def test_a_server_that_goes_on_failing_may_be_retried_later(tmp_path: Path, pauses: list[float]) -> None:
    with _serve(b"", failures=1000) as (url, _), pytest.raises(TrainerError, match="in 4 attempts") as caught:
        materialise(f"{url}?signature=secret", tmp_path / "workspace", BOXES)
    assert not isinstance(caught.value, InputError)
    assert "secret" not in str(caught.value)
    assert len(pauses) == 3


@pytest.mark.parametrize("status", [404, 403])
def test_an_address_that_is_wrong_is_not_retried(status: int, tmp_path: Path) -> None:
    with (
        _serve(b"", failures=1000, status=status) as (url, requests),
        pytest.raises(InputError, match="Check the address"),
    ):
        materialise(url, tmp_path / "workspace", BOXES)
    assert requests.count("GET") <= 1


NO_ARCHIVES = {
    "are asked to sign in": (b"<html>sign in</html>", "is a web page (does the address need a password"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
    "cut short": (b"PK\x03\x04" + bytes(1000), "is a zip that was cut short, or one part of several"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "is a 7z archive, which is not read"),
    "text": (b"hello", "is neither a zip nor a tar archive, nor a folder"),
}


@pytest.mark.parametrize("case", NO_ARCHIVES)
def test_something_else_than_an_archive_is_refused_by_what_it_is(case: str, tmp_path: Path) -> None:
    content, message = NO_ARCHIVES[case]
    with _serve(content) as (url, _), pytest.raises(InputError, match=re.escape(message)):
        materialise(url, tmp_path / "workspace", BOXES)


def test_an_archive_in_an_archive_is_named(make_tree: MakeTree, tmp_path: Path) -> None:
    inner = _zipped(make_tree())
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.writestr("export/pets.zip", inner)
    with pytest.raises(InputError, match=r"but an archive: export/pets\.zip\. Give that one"):
        materialise(str(tmp_path / "outer.zip"), tmp_path / "workspace", BOXES)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 server with an empty bucket; its endpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [str(MOTO), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    patch = pytest.MonkeyPatch()
    try:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "moto_server ended"
            time.sleep(0.1)
        import fsspec

        fsspec.filesystem("s3").mkdir("datasets")
        yield endpoint
    finally:
        patch.undo()
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_dataset_in_s3_is_the_same_dataset(bucket: str, form: str, make_tree: MakeTree, tmp_path: Path) -> None:
    import fsspec

    root = make_tree()
    filesystem = fsspec.filesystem("s3")
    if form == "folder":
        filesystem.put(str(root) + "/", "datasets/tree/", recursive=True)
        uri = "s3://datasets/tree"
    else:
        filesystem.pipe("datasets/tree.zip", _zipped(root))
        uri = "s3://datasets/tree.zip"
    assert materialise(uri, tmp_path / "one", BOXES).digest == materialise(str(root), tmp_path / "two", BOXES).digest


def test_an_object_that_is_not_there_is_not_retried(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"s3://datasets/none\.zip cannot be read"):
        materialise("s3://datasets/none.zip", tmp_path / "workspace", BOXES)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/nowhere/at/all", "does not exist"),
        ("ftp://host/data.zip", "unknown scheme"),
        ("digit", "does not exist"),
    ],
)
def test_a_uri_that_leads_nowhere_says_so(uri: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        materialise(uri, tmp_path / "workspace", BOXES)


def test_credentials_and_signatures_are_never_shown() -> None:
    assert shown("https://me:password@host/a.zip?X-Amz-Signature=abc#f") == "https://host/a.zip"
    assert shown("digits?images=100") == "digits?images=100"


def _zip_with(name: str, mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        zipped.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def _tar_with(name: str, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tarred:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        tarred.addfile(member, io.BytesIO())
    return buffer.getvalue()


UNSAFE: dict[str, Callable[[], bytes]] = {
    "zip up": lambda: _zip_with("../escaped.txt"),
    "zip up by backslash": lambda: _zip_with("..\\escaped.txt"),
    "zip absolute": lambda: _zip_with("/escaped.txt"),
    "zip link": lambda: _zip_with("link", stat.S_IFLNK | 0o777),
    "tar up": lambda: _tar_with("../escaped.txt"),
    "tar link out": lambda: _tar_with("link", "../../secret"),
    "tar absolute link": lambda: _tar_with("link", "/etc/passwd"),
}


@pytest.fixture(params=["Python with filters", "Python 3.11.2"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python has no filters of tar members yet."""
    if request.param == "Python 3.11.2":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("python")
def test_a_tar_is_unpacked(make_tree: MakeTree, tmp_path: Path) -> None:
    tree = make_tree()
    with tarfile.open(tmp_path / "tree.tar.gz", "w:gz") as tarred:
        tarred.add(tree, "tree")
    unpack(tmp_path / "tree.tar.gz", tmp_path / "folder", "tree.tar.gz")
    assert (tmp_path / "folder/tree/data.yaml").read_bytes() == (tree / "data.yaml").read_bytes()


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("case", UNSAFE)
def test_an_archive_that_leaves_its_folder_is_refused(case: str, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(UNSAFE[case]())
    with pytest.raises(InputError, match=r"not safe|a link as a member|is a link or a device"):
        unpack(archive, tmp_path / "inner/folder", "archive")
    assert not [path for path in tmp_path.rglob("*") if path.name == "escaped.txt" or path.is_symlink()]


def test_a_downloaded_data_yaml_cannot_name_local_files(make_tree: MakeTree, tmp_path: Path) -> None:
    private = make_tree("private")
    public = make_tree("public")
    text = f"path: {private}\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n"
    (public / "data.yaml").write_text(text)
    for split in ("train", "val", "test"):
        shutil.rmtree(public / "images" / split)
    with _serve(_zipped(public)) as (url, _), pytest.raises(InputError, match="do not exist"):
        materialise(url, tmp_path / "workspace", BOXES)
