"""What is measured: every case, and which of them the goals are about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CLIENTS = (1, 2, 4, 8, 16, 32)
BATCHES = (2, 4, 8)
HEADLINE_CLIENTS = (1, 8)

FLOAT, UINT8 = "float32 tensor", "uint8 tensor"
JPEG, LARGE_JPEG, WIDE_JPEG = "jpeg", "large jpeg", "wide jpeg"
# The first requests that a server gets after it is ready, measured once: none may be slower than those that follow.
FIRST_JPEGS, FIRST = "jpeg, first 30", 30
IN_PROCESS, HTTP, GRPC, HTTP_SHM, GRPC_SHM = "in process", "http", "grpc", "http+shm", "grpc+shm"
BARE, FIXED, USUAL, OURS, PER_PROCESSOR = "bare", "bare, fixed shape", "usual", "ours", "ours, instance per processor"
# The ways of a tensor to our server: the ready one, or a quarter of the bytes; over HTTP, or in shared memory.
TENSOR_WAYS = ((FLOAT, HTTP), (FLOAT, HTTP_SHM), (UINT8, HTTP), (UINT8, HTTP_SHM))


@dataclass(frozen=True)
class Subject:
    """Something that serves: its path (see the page's table), and engine and precision as it says itself."""

    path: str
    engine: str
    precision: str

    def __str__(self) -> str:
        return f"{self.path} {self.engine} {self.precision}"


@dataclass(frozen=True)
class Case:
    """One way of asking a subject."""

    subject: Subject
    input: str
    protocol: str
    clients: int
    batch: int = 1

    @property
    def headline(self) -> bool:
        """Whether the goals rest on it: these are measured in every round."""
        goals = (*TENSOR_WAYS, (FLOAT, IN_PROCESS), (JPEG, HTTP))
        return (self.input, self.protocol) in goals and self.batch == 1 and self.clients in HEADLINE_CLIENTS

    def __str__(self) -> str:
        return f"{self.subject}, {self.input}, {self.protocol}, {self.clients} clients, batch {self.batch}"


def cases_of(subject: Subject, inputs: Sequence[str], full: bool) -> Iterator[Case]:
    """The cases of one subject.

    Args:
        inputs: what it takes.
        full: every protocol, number of clients and batch size; else those that the goals rest on.
    """
    if subject.path in (BARE, FIXED):
        yield from (Case(subject, FLOAT, IN_PROCESS, clients) for clients in HEADLINE_CLIENTS)
        if full and subject.path == BARE:
            yield from (Case(subject, FLOAT, IN_PROCESS, 1, batch) for batch in BATCHES)
        return
    for kind in inputs:
        if full and kind in (FLOAT, JPEG):
            protocols = (HTTP, GRPC, HTTP_SHM, GRPC_SHM) if kind == FLOAT and subject.path == OURS else (HTTP, GRPC)
            for protocol in protocols:
                counts = HEADLINE_CLIENTS if protocol == GRPC_SHM else CLIENTS
                yield from (Case(subject, kind, protocol, clients) for clients in counts)
            yield from (Case(subject, kind, HTTP, 1, batch) for batch in BATCHES)
        else:
            for protocol in (HTTP, HTTP_SHM):
                headline = (kind, protocol) in (*TENSOR_WAYS, (JPEG, HTTP)) and (
                    subject.path in (OURS, PER_PROCESSOR) or protocol == HTTP
                )
                if headline or (full and protocol == HTTP):
                    yield from (Case(subject, kind, protocol, clients) for clients in HEADLINE_CLIENTS)
