"""The serving benchmark's own arithmetic: what it counts is what happened."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.serving.cases import (
    BARE,
    FIXED,
    FLOAT,
    HTTP,
    IN_PROCESS,
    OURS,
    PER_PROCESSOR,
    UINT8,
    Case,
    Subject,
    cases_of,
)
from benchmarks.serving.load import Window, closed_loop
from benchmarks.serving.machine import this_machine
from benchmarks.serving.measure import Result, neighbours, p50_of, percentile, ratio, rps_of
from benchmarks.serving.report import Report
from benchmarks.serving.subjects import Measured
from benchmarks.serving.wire import Relay, bytes_per_request

CASE = Case(Subject(BARE, "onnxruntime", "fp32"), FLOAT, IN_PROCESS, clients=1)


def no_clock() -> float:
    return 0.0


def test_closed_loop_counts_latency_and_throughput_of_every_client() -> None:
    window = closed_loop([lambda _: time.sleep(0.02)] * 4, 0.5, no_clock, no_clock)
    rate = len(window.latencies) / window.seconds
    assert min(window.latencies) >= 0.02
    assert 0 < rate <= 4 / 0.02
    assert window.seconds >= 0.5


def test_closed_loop_waits_for_two_answers_of_slow_clients() -> None:
    window = closed_loop([lambda _: time.sleep(0.15)] * 2, 0.1, no_clock, no_clock)
    assert len(window.latencies) >= 4
    assert window.seconds > 0.1


def test_closed_loop_waits_for_a_median_of_one_slow_client() -> None:
    window = closed_loop([lambda _: time.sleep(0.03)], 0.5, no_clock, no_clock)
    assert len(window.latencies) >= 20
    assert window.seconds > 0.5


def test_closed_loop_takes_cpu_of_the_window_alone() -> None:
    ticks = iter([100.0, 103.5])
    window = closed_loop([lambda _: time.sleep(0.01)], 0.05, lambda: next(ticks), no_clock)
    assert window.cpu == 3.5


def test_what_is_compared_is_measured_one_after_another() -> None:
    subjects = [
        Subject(path, engine, "fp32") for path in (BARE, OURS, PER_PROCESSOR) for engine in ("openvino", "onnxruntime")
    ]
    cases = [case for subject in subjects for case in cases_of(subject, [FLOAT, UINT8], full=True)]
    ordered = neighbours(cases, random.Random(0))
    assert sorted(map(str, ordered)) == sorted(map(str, cases))
    assert ordered != neighbours(cases, random.Random(1))
    groups = [(case.headline, case.subject.engine, case.clients) for case in ordered]
    began = [group for before, group in zip([None, *groups], groups, strict=False) if group != before]
    assert len(began) == len(set(began)), "no group is left and taken up again"
    assert [headline for headline, *_ in began] == sorted((headline for headline, *_ in began), reverse=True)


def test_an_error_of_one_client_ends_the_measurement() -> None:
    def broken(number: int) -> None:
        if number > 3:
            raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError, match="went away"):
        closed_loop([broken, lambda _: time.sleep(0.01)], 5, no_clock, no_clock)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], share) == expected


def test_ratios_compare_rounds_with_themselves() -> None:
    """Noise that hits both cases of a round cancels out; rounds that only one of them has are left out."""

    def result(latencies: dict[int, float]) -> Result:
        rounds = {
            index: Measured(Window([latency] * 3, 3 * latency, 1.0, 0.0), 0.0) for index, latency in latencies.items()
        }
        return Result(CASE, rounds)

    fast, slow = result({0: 0.01, 1: 0.05, 2: 0.01, 9: 7.0}), result({0: 0.02, 1: 0.10, 2: 0.02})
    assert ratio(fast, slow, p50_of) == pytest.approx(0.5)
    assert ratio(fast, slow, rps_of) == pytest.approx(2.0)
    assert ratio(fast, None, p50_of) is None


def test_images_of_a_batch_are_counted_one_by_one() -> None:
    case = Case(CASE.subject, FLOAT, IN_PROCESS, clients=1, batch=4)
    result = Result(case, {0: Measured(Window([0.1] * 5, 2.0, 1.0, 0.0), 100.0)})
    assert (result.images, result.rps, result.cpu_ms_per_image) == (20, 2.5, 50.0)


def test_goals_are_headline_cases_of_a_quick_run() -> None:
    quick = list(cases_of(Subject(OURS, "openvino", "bf16"), [FLOAT], full=False))
    full = list(cases_of(Subject(OURS, "openvino", "bf16"), [FLOAT], full=True))
    assert all(case.headline for case in quick)
    assert set(quick) < set(full)
    assert len(full) == len(set(full))


def test_a_tensor_stands_beside_the_bare_engine_of_its_precision_and_in_bold_where_it_is_too_slow() -> None:
    def result(path: str, protocol: str, kind: str, clients: int, latency: float) -> Result:
        case = Case(Subject(path, "openvino", "bf16"), kind, protocol, clients)
        return Result(case, {0: Measured(Window([latency] * 10, 10 * latency / clients, 1.0, 0.0), 0.0)})

    results = [
        *(result(BARE, IN_PROCESS, FLOAT, clients, clients * 0.010) for clients in (1, 8)),
        *(result(FIXED, IN_PROCESS, FLOAT, clients, clients * 0.008) for clients in (1, 8)),
        *(result(OURS, HTTP, UINT8, clients, clients * 0.0125) for clients in (1, 8)),
        *(result(PER_PROCESSOR, HTTP, UINT8, clients, clients * 0.0104) for clients in (1, 8)),
    ]
    report = Report(this_machine(), "the command", [1], 0.0, 1.0, {result.case: result for result in results})
    row = next(line for line in report.text().splitlines() if "uint8 tensor | http |" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["openvino bf16", UINT8, HTTP]
    assert cells[3:] == ["**1.25** (1.56)", "1.04 (1.30)", "**0.80** (0.64)", "0.96 (0.77)"]


@contextmanager
def answering(size: int) -> Iterator[int]:
    """A server that greets with 7 bytes, and answers every 10 bytes with `size` bytes."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"welcome")
                while connection.recv(10, socket.MSG_WAITALL):
                    connection.sendall(bytes(size))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_wire_bytes_are_those_of_one_request_both_ways() -> None:
    with answering(1000) as port:

        def count(requests: int) -> int:
            relay = Relay(port)
            try:
                with socket.create_connection(("127.0.0.1", relay.port)) as client:
                    client.recv(7, socket.MSG_WAITALL)
                    for _ in range(requests):
                        client.sendall(bytes(10))
                        client.recv(1000, socket.MSG_WAITALL)
                return relay.total
            finally:
                relay.close()

        assert bytes_per_request(count) == 1010
