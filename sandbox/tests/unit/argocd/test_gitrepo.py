"""What the stand-in of Argo CD reads of a git repository."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sandbox.argocd.render.gitrepo import _unpack


@pytest.mark.parametrize("filters", [True, False])
def test_a_tree_is_unpacked_by_every_python(filters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python (3.11.2) has no filters of tar members yet, and refuses the argument."""
    if not filters:
        of_today = tarfile.TarFile.extractall
        monkeypatch.delattr(tarfile, "data_filter")
        monkeypatch.setattr(tarfile.TarFile, "extractall", lambda tar, path: of_today(tar, path))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("argocd-apps/values.yaml")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"a\n"))
    _unpack(archive.getvalue(), tmp_path / "trees" / "revision")
    assert (tmp_path / "trees" / "revision" / "argocd-apps" / "values.yaml").read_text() == "a\n"
