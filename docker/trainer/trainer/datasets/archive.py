"""Unpacks zip and tar archives without letting them write, or point, outside of their folder."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from trainer.errors import InputError, TrainerError
from trainer.transfer import STAND_INS

ENCRYPTED = 0x1  # of a zip member's flags
UTF8 = 0x800  # the same: its name is in UTF-8
# How files begin that people take for archives that are read.
OTHERS = {
    **STAND_INS,
    b"PK": "a zip that was cut short, or one part of several",
    b"7z\xbc\xaf": "a 7z archive, which is not read",
    b"Rar!": "a rar archive, which is not read",
    b"\x28\xb5\x2f\xfd": "compressed by zstd, which is not read",
}


def unpack(archive: Path, folder: Path, shown: str) -> None:
    """Unpack ``archive`` into ``folder``; ``shown`` names it in errors.

    Raises:
        InputError: it is not an archive, is broken, or has a member that leaves the folder.
        TrainerError: the disk has not enough room for its content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder, shown)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, folder, shown)
        else:
            raise InputError(
                f"The dataset {shown} is {_other(archive)}. Give a zip or a tar archive that holds the dataset, or its "
                "folder."
            )
    except NotImplementedError as error:
        raise InputError(
            f"The archive {shown} cannot be unpacked: {error}. Windows compresses more than 2 GB in such a way "
            "(Deflate64). Make a tar of the folder, or a zip by another program."
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
        raise InputError(
            f"The archive {shown} cannot be unpacked: {error}. It is broken, or not safe to unpack; make it again."
        ) from error


def _other(file: Path) -> str:
    """What a file is that is no archive."""
    with file.open("rb") as content:
        start = content.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    found = (what for beginning, what in OTHERS.items() if start.startswith(beginning))
    return next(found, "neither a zip nor a tar archive, nor a folder")


def _unpack_zip(archive: Path, folder: Path, shown: str) -> None:
    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        for member in members:
            if member.flag_bits & ENCRYPTED:
                raise InputError(
                    f"The archive {shown} has a password ({member.filename!r} is encrypted). Make it again without one."
                )
            # Windows' own zip and .NET before 4.6.1 write backslashes, which are no separators here.
            member.filename = _name(member).replace("\\", "/")
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
                raise InputError(
                    f"The archive {shown} has a member that leaves its folder: {member.filename!r}. It is "
                    "not safe to unpack; make it again with relative paths."
                )
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(
                    f"The archive {shown} has a link as a member: {member.filename!r}. Make it again with "
                    "the files themselves."
                )
        _require_room(sum(member.file_size for member in members), folder, shown)
        zipped.extractall(folder, members)


def _name(member: zipfile.ZipInfo) -> str:
    """Info-ZIP and Macs write names in UTF-8 without saying so; Python takes them for code page 437."""
    if member.flag_bits & UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _unpack_tar(archive: Path, folder: Path, shown: str) -> None:
    with tarfile.open(archive) as tarred:
        members = tarred.getmembers()
        _require_room(sum(member.size for member in members), folder, shown)
        if hasattr(tarfile, "data_filter"):
            # It refuses absolute paths, "..", links that leave the folder, and devices.
            tarred.extractall(folder, members, filter="data")
            return
        # Debian 12's Python (3.11.2) has no filters yet: files and folders within the folder only.
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                raise InputError(
                    f"The archive {shown} has a member that is a link or a device, or that leaves its folder: "
                    f"{member.name!r}. Make it again with relative paths and the files themselves."
                )
        tarred.extractall(folder, members)


def _require_room(size: int, folder: Path, shown: str) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise TrainerError(
            f"The archive {shown} unpacks to {size / 1e9:.1f} GB and the workspace has {free / 1e9:.1f} "
            "GB free. Make room in it, or give it a larger volume."
        )
