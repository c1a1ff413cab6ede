"""Which of a model's instances are at work, so that one that works alone may use all processors."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Company:
    """The instances of one model on one server, each a process: a byte for each, in a file that all of them map.

    A moment's mistake costs a moment's speed and nothing else, so there are no locks; and a byte that a killed process
    left behind is cleared by the one that takes its place.
    """

    def __init__(self, path: Path | None, number: int, instances: int) -> None:
        """Joins as instance `number` (from 0) of `instances`; not at work.

        Args:
            path: of the file; None: there is only this one.
            number, instances: see above.

        Raises:
            OSError: the file cannot be made.
        """
        self._path = path
        self._number = number
        self._others = [each for each in range(instances) if each != number]
        if path is None:
            self._busy = mmap.mmap(-1, instances)
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(descriptor, instances)
            self._busy = mmap.mmap(descriptor, instances)
        finally:
            os.close(descriptor)
        self._busy[number] = 0

    def leave(self) -> None:
        """Removes the file, when the model is unloaded; others that are there still see each other."""
        if self._path:
            self._path.unlink(missing_ok=True)

    @property
    def alone(self) -> bool:
        """Whether no other instance is at work."""
        return not any(self._busy[each] for each in self._others)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """This instance is, meanwhile."""
        self._busy[self._number] = 1
        try:
            yield
        finally:
            self._busy[self._number] = 0


def company_of(model: str, instance: str, instances: int) -> Company:
    """The company of an instance, as Triton names them.

    Args:
        model: name of the model on the server.
        instance: name of the instance: the model's, the group's number and its number in that, each after a `_`.
        instances: how many there are.
    """
    if instances == 1:
        return Company(None, 0, 1)
    number = instance.rsplit("_", 1)[-1]
    # The server's process is the parent of all of them, and of no other server's.
    path = Path(tempfile.gettempdir()) / f"yolo-instances-{os.getuid()}-{os.getppid()}-{model}"
    return Company(path, int(number) % instances if number.isdigit() else 0, instances)
