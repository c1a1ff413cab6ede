"""Debian's packages for the tests: what is asked of apt, and what is done where it has no answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import packages

KNOWN = {"checker": ["checker", "libchecker1", "libjs-pages"], packages.CHROMIUM: [packages.CHROMIUM]}


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What apt was asked to download: an apt that knows two packages, and no files come of it."""
    asked: list[str] = []

    def apt(*arguments: str, folder: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        name = arguments[-1]
        if arguments[0] == "install" and name not in KNOWN:
            return subprocess.CompletedProcess(arguments, 100, "", f"E: Unable to locate package {name}")
        if arguments[0] == "download":
            asked.extend(arguments[1:])
        lines = [f"Inst {each} (1.0 Debian:12)" for each in KNOWN.get(name, [])]
        return subprocess.CompletedProcess(arguments, 0, "\n".join(lines), "")

    monkeypatch.setattr(packages, "apt", apt)
    monkeypatch.setattr(packages, "TARGET", tmp_path / "apt")
    monkeypatch.setattr(packages, "LIST", tmp_path / "apt-packages.txt")
    # Of what this machine has, only a shell is seen.
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(programs))
    return asked


def write(text: str) -> None:
    packages.LIST.write_text(text)


def test_what_a_package_needs_comes_with_it_and_once(downloaded: list[str]) -> None:
    write("# why\nchecker\n")
    assert packages.main() == packages.main() == 0
    assert downloaded == ["checker", "libchecker1"]
    write("checker\nchromium-headless-shell # optional\n")
    assert packages.main() == 0
    assert downloaded[2:] == ["checker", "libchecker1", packages.CHROMIUM], "another list is fetched again"


def test_only_an_optional_package_may_be_unknown(downloaded: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write("checker\nnowhere # optional\n")
    assert packages.main() == 0
    assert "Without the package nowhere, which is optional: E: Unable to locate" in capsys.readouterr().out
    write("nowhere\n")
    with pytest.raises(SystemExit, match=r"The package nowhere could not be had: .*sudo apt-get update"):
        packages.main()


def test_a_program_of_the_system_is_not_fetched(downloaded: list[str]) -> None:
    write("sh\n")
    assert (packages.main(), downloaded) == (0, [])


def test_chromium_starts_from_where_it_was_unpacked(downloaded: list[str]) -> None:
    for file in ("bin/chromium-headless-shell", "lib/chromium/chromium-headless-shell", "lib/x/private/libsound-1.so"):
        place = packages.TARGET / "usr" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH" "$@"\n')
        place.chmod(0o755)
    packages.relocate()
    script = packages.TARGET / "usr" / "bin" / "chromium-headless-shell"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(packages.TARGET / "usr/lib/x/private"), "--version"]
