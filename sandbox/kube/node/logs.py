"""Container logs: one file a run in the CRI format, ``<RFC3339Nano> <stdout|stderr> <F|P> <text>``, with followers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from sandbox.kube import clock

# A line longer than this is stored in parts, as container runtimes do.
PART = 16 * 1024
TAIL_LINES = 80
TAIL_BYTES = 2048


class LogFile:
    """The log of one run of one container. Written by the kubelet alone."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file = path.open("ab", buffering=0)
        self._grown = asyncio.Event()

    def write(self, stream: str, line: bytes, *, partial: bool = False) -> None:
        """Append one line, without its newline."""
        self._file.write(f"{clock.nano()} {stream} {'P' if partial else 'F'} ".encode() + line + b"\n")
        self._wake()

    def close(self) -> None:
        """No more lines; followers end."""
        self.closed = True
        self._file.close()
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def drain(self, stream: str, reader: asyncio.StreamReader) -> None:
        """Copy a pipe into the log until it ends."""
        pending = b""
        while chunk := await reader.read(65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self._parts(stream, line)
            while len(pending) > PART:
                self.write(stream, pending[:PART], partial=True)
                pending = pending[PART:]
        if pending:
            self._parts(stream, pending)

    def _parts(self, stream: str, line: bytes) -> None:
        while len(line) > PART:
            self.write(stream, line[:PART], partial=True)
            line = line[PART:]
        self.write(stream, line)

    async def lines(self, follow: bool) -> AsyncIterator[list[tuple[str, bool, bytes]]]:
        """Batches of (timestamp, partial, text), from the beginning; with ``follow``, until the container ends."""
        pending = b""
        with self.path.open("rb") as file:
            while True:
                grown, closed = self._grown, self.closed
                chunk = file.read(262144)
                if chunk:
                    *entries, pending = (pending + chunk).split(b"\n")
                    yield [_parse(entry) for entry in entries]
                elif closed or not follow:
                    return
                else:
                    await grown.wait()

    def tail(self) -> str:
        """The last lines, as much as a termination message takes."""
        entries = self.path.read_bytes().split(b"\n")[-TAIL_LINES - 1 :]
        text = b"\n".join(_parse(entry)[2] for entry in entries if entry)
        return text[-TAIL_BYTES:].decode(errors="replace")


def _parse(entry: bytes) -> tuple[str, bool, bytes]:
    timestamp, _, rest = entry.partition(b" ")
    _, _, rest = rest.partition(b" ")
    tag, _, text = rest.partition(b" ")
    return timestamp.decode(), tag == b"P", text
