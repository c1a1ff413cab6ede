"""Files that pods write at once in the workspace they share: the fonts, notes of weights, a copy's stamps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SIZE = 1 << 18


def test_writers_at_once_leave_one_of_their_contents_and_nothing_else(tmp_path: Path) -> None:
    """Each has the same process id, as pods have in their containers."""
    from trainer.whole import write_whole

    place = tmp_path / "shared"

    def write_and_read(number: int) -> set[int]:
        write_whole(place, bytes([number]) * SIZE)
        content = place.read_bytes()
        assert len(content) == SIZE
        return set(content)

    with ThreadPoolExecutor(8) as pool:
        assert all(len(found) == 1 for found in pool.map(write_and_read, range(100)))
    assert list(tmp_path.iterdir()) == [place]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    from trainer.whole import write_whole

    place = tmp_path / "folder"
    (place / "in it").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(place, b"new")
    assert list(tmp_path.iterdir()) == [place]
