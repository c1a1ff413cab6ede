"""A closed loop: each client sends its next request when the answer to the one before has come.

Only the standard library: the in-process engines run in Triton's environment, the clients in the developers'.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# A call gets a running number, by which it chooses its picture, and returns when the answer is there.
Call = Callable[[int], None]
Clock = Callable[[], float]
# So many requests a window has at least, where its growth allows it: fewer have no median.
LEAST_REQUESTS = 20
# At most so much longer it grows for them.
GROWTH = 4


@dataclass(frozen=True)
class Window:
    """What happened while the loop was in full swing.

    Attributes:
        latencies: seconds of each request that ended in the window.
        seconds: the window's length.
        cpu: processor seconds that whoever serves used in the window.
        client_cpu: processor seconds that the clients used in the window.
    """

    latencies: list[float]
    seconds: float
    cpu: float
    client_cpu: float


class _Client(threading.Thread):
    def __init__(self, call: Call, offset: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._offset = offset
        self._stop_asked = stop
        self.answers: list[tuple[float, float]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        number = self._offset
        try:
            while not self._stop_asked.is_set():
                started = time.perf_counter()
                self._call(number)
                self.answers.append((started, time.perf_counter()))
                number += 1
        except BaseException as error:
            self.error = error
            self._stop_asked.set()


def closed_loop(
    calls: Sequence[Call], seconds: float, cpu_clock: Clock, client_clock: Clock, patience: float = 60.0
) -> Window:
    """Runs one client a call, and measures from the moment at which every client has had an answer.

    Args:
        calls: one for each client.
        seconds: length of the window; it grows, up to fourfold, until there are two answers for each client, and 20.
        cpu_clock: processor seconds that whoever serves has used so far.
        client_clock: the same of the clients.
        patience: seconds within which the first answers must come.

    Raises:
        TimeoutError: they did not.
        Exception: what a call raised.
    """
    stop = threading.Event()
    clients = [_Client(call, index, stop) for index, call in enumerate(calls)]
    for client in clients:
        client.start()
    try:
        _wait(stop, patience, lambda: all(client.answers for client in clients))
        if not stop.is_set() and not all(client.answers for client in clients):
            raise TimeoutError(f"not every one of {len(calls)} clients had an answer within {patience:g} s")
        before = sum(len(client.answers) for client in clients)
        enough = before + max(2 * len(clients), LEAST_REQUESTS)
        begin, cpu_begin, client_begin = time.perf_counter(), cpu_clock(), client_clock()
        stop.wait(seconds)
        _wait(stop, (GROWTH - 1) * seconds, lambda: sum(len(client.answers) for client in clients) >= enough)
        end, cpu_end, client_end = time.perf_counter(), cpu_clock(), client_clock()
    finally:
        stop.set()
        for client in clients:
            client.join(patience)
    for client in clients:
        if client.error is not None:
            raise client.error
    answers = [answer for client in clients for answer in client.answers if begin < answer[1] <= end]
    return Window(
        [last - first for first, last in answers], end - begin, cpu_end - cpu_begin, client_end - client_begin
    )


def _wait(stop: threading.Event, seconds: float, done: Callable[[], bool]) -> None:
    """Waits until `done`, a client has failed, or the time is over."""
    until = time.perf_counter() + seconds
    while not done() and time.perf_counter() < until and not stop.wait(0.01):
        pass
