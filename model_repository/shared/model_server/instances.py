"""Which of a model's instances are at work, so that one that works alone may use all processors."""

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Instances:
    """All instances of one model on one server, each a process: a byte for each, in a file that all of them map.

    A moment's mistake costs a moment's speed and nothing else, so there are no locks; and a byte that a killed process
    left behind is cleared by the one that takes its place.
    """

    def __init__(self, path: Path | None, number: int, instances: int) -> None:
        """Joins as instance `number` (from 0) of `instances`; not at work.

        Args:
            path: of the file; None: nothing is known of the others, who then count as at work.
            number, instances: see above.

        Raises:
            OSError: the file cannot be made.
        """
        self._path = path
        self._number = number
        self._others = [each for each in range(instances) if each != number]
        if path is None:
            self._busy = mmap.mmap(-1, instances)
            self._busy[:] = bytes([1]) * instances
            self._busy[number] = 0
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # Not a hole: on a full disk, writing into one through the mapping would end the process.
            os.posix_fallocate(descriptor, 0, instances)
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


def instances_of(model: str, instance: str, instances: int, log: Callable[[str], None]) -> Instances:
    """The instances beside this one, found by the name that Triton gives it.

    Where there can be no file (no place to write, disk full), each instance keeps to its share of the processors.

    Args:
        model: name of the model on the server.
        instance: name of the instance: the model's, the group's number and its number in that, each after a `_`.
        instances: how many there are.
        log: told why there is no file.
    """
    last = instance.rsplit("_", 1)[-1]
    number = int(last) % instances if last.isdigit() else 0
    if instances == 1:
        return Instances(None, number, 1)
    try:
        # The server's process is the parent of all of them, and of no other server's.
        path = Path(tempfile.gettempdir()) / f"yolo-instances-{os.getuid()}-{os.getppid()}-{model}"
        return Instances(path, number, instances)
    except OSError as error:
        log(f"instances cannot tell each other when they are at work ({error}): each keeps to its share of processors")
        return Instances(None, number, instances)
