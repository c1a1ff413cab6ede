"""The rows, the tables and how the goals fare, out of one run."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.pages import markdown_table
from benchmarks.serving.cases import (
    BARE,
    FIRST_JPEGS,
    FIXED,
    FLOAT,
    HTTP,
    IN_PROCESS,
    JPEG,
    OURS,
    PER_PROCESSOR,
    TENSOR_WAYS,
    USUAL,
    Case,
    Subject,
)
from benchmarks.serving.headline import ORT, USUAL_MODEL
from benchmarks.serving.machine import Machine
from benchmarks.serving.measure import Result, cpu_of, p50_of, percentile, ratio, rps_of
from benchmarks.serving.subjects import Measured

# Goals of a tensor: p50 of one client, and requests a second of eight, beside the bare engine in the same precision.
MOST_LATENCY, LEAST_SPEED = 1.1, 0.95
# Goals of a JPEG: p50 of one client, beside the bare engine told the shape, which gets the ready tensor; and the first
# requests, beside those that follow.
MOST_JPEG_LATENCY, MOST_FIRST = 1.3, 1.1


@dataclass(frozen=True)
class Goal:
    """A goal for JPEGs; `value` None: it could not be measured, and `why` says why."""

    name: str
    limit: str
    value: float | None
    met: bool | None
    why: str = ""

    def cells(self) -> list[str]:
        """Its row of the table."""
        verdict = {True: "met", False: "**not met**", None: f"not measured: {self.why}"}[self.met]
        return [self.name, self.limit, _number(self.value), verdict]


@dataclass(frozen=True)
class Beside:
    """A figure of ours over the bare engine's in the same precision; `fixed`: over that of the one told the shape."""

    value: float | None
    fixed: float | None
    met: bool

    def cell(self) -> str:
        """In bold where the goal is not met; empty where it was not measured."""
        if self.value is None:
            return ""
        shown = _number(self.value) if self.met else f"**{_number(self.value)}**"
        return shown if self.fixed is None else f"{shown} ({_number(self.fixed)})"


@dataclass(frozen=True)
class Report:
    """One run.

    Attributes:
        command: how it was started.
        candidates: anchors above the threshold in each of the photos.
        others: processors that other processes kept busy meanwhile, on average.
        seconds: length of the measurement.
    """

    machine: Machine
    command: str
    candidates: list[int]
    others: float
    seconds: float
    results: dict[Case, Result]

    def rows(self) -> list[dict[str, Any]]:
        """What benchmarks/serving.json holds."""
        return [_row(result) for result in self.results.values()]

    def of(self, subject: Subject | None, kind: str, protocol: str, clients: int, batch: int = 1) -> Result | None:
        """The result of a case, if it was run."""
        return self.results.get(Case(subject, kind, protocol, clients, batch)) if subject else None

    def ours(self) -> list[Subject]:
        """What our server ran, the default first."""
        return list(dict.fromkeys(case.subject for case in self.results if case.subject.path == OURS))

    def text(self) -> str:
        """Tables in Markdown."""
        when = time.strftime("%Y-%m-%d", time.gmtime())
        lines = [
            f"{when}, `{self.command}`, {self.seconds:.0f} s. {self.machine}. Other processes kept "
            f"{self.others:.1f} of {self.machine.processors} processors busy meanwhile. The network finds "
            f"{', '.join(map(str, self.candidates))} candidates in the pictures.",
            "",
            *markdown_table(["goal", "limit", "measured", ""], [goal.cells() for goal in self._jpeg_goals()]),
            "",
            "Tensors beside the bare engine in the same precision; in brackets beside the one that is told the shape. "
            f"In bold: p50 above {MOST_LATENCY:g}, requests/s below {LEAST_SPEED:g}.",
            "",
            *markdown_table(TENSOR_HEADER, list(self._tensor_rows())),
            "",
            *markdown_table(HEADER, [self._cells(result) for result in self._ordered()]),
        ]
        return "\n".join(lines)

    def _ordered(self) -> list[Result]:
        paths = (BARE, FIXED, USUAL, OURS, PER_PROCESSOR)
        return sorted(self.results.values(), key=lambda result: paths.index(result.case.subject.path))

    def _cells(self, result: Result) -> list[str]:
        case, latencies = result.case, result.latencies
        bare = self.of(ORT, FLOAT, IN_PROCESS, case.clients, case.batch)
        usual = self.of(USUAL_MODEL, FLOAT, HTTP, case.clients, case.batch)
        return [
            f"{case.subject.path} {case.subject.engine} {case.subject.precision}",
            case.input,
            case.protocol,
            str(case.clients),
            str(case.batch),
            f"{percentile(latencies, 0.5):.1f}",
            f"{percentile(latencies, 0.99):.1f}",
            f"{result.rps:.1f}",
            f"{result.cpu_ms_per_image:.1f}",
            f"{result.client_cpu_ms_per_image:.1f}",
            f"{result.peak_mb:.0f}",
            f"{result.wire_bytes / case.batch / 1000:.0f}",
            _number(ratio(result, bare, p50_of)),
            _number(ratio(result, usual, rps_of)),
            _number(ratio(result, bare, cpu_of)),
            str(len(latencies)),
        ]

    def _jpeg_goals(self) -> Iterator[Goal]:
        bf16 = self.machine.has_bf16
        most, least = (0.7, 2.0) if bf16 else (1.1, 1.3)
        # What the server chooses by itself, and bf16: a version may lose more than it should in INT8.
        default, *others = self.ours()
        for subject in [default, *(other for other in others if other.precision == "bf16")]:
            why = "the served model takes no encoded images"
            latency = ratio(self.of(subject, JPEG, HTTP, 1), self.of(ORT, FLOAT, IN_PROCESS, 1), p50_of)
            yield _at_most(f"{subject}: JPEG → boxes, 1 client: p50 / bare ONNX Runtime FP32's", most, latency, why)
            speed = ratio(self.of(subject, JPEG, HTTP, 8), self.of(USUAL_MODEL, FLOAT, HTTP, 8), rps_of)
            yield _at_least(f"{subject}: JPEG → boxes, 8 clients: requests/s / the usual model.py's", least, speed, why)
        for subject in self.ours():
            yield from self._goals_beside_fixed(subject)

    def _goals_beside_fixed(self, subject: Subject) -> Iterator[Goal]:
        """One hop from a JPEG to boxes, beside the same engine that is told the shape; ONNX Runtime takes any."""
        path = FIXED if subject.engine == "openvino" else BARE
        bare = Subject(path, subject.engine, subject.precision)
        for clients, value, goal, limit in (
            (1, p50_of, _at_most, MOST_JPEG_LATENCY),
            (8, rps_of, _at_least, LEAST_SPEED),
        ):
            measured = ratio(self.of(subject, JPEG, HTTP, clients), self.of(bare, FLOAT, IN_PROCESS, clients), value)
            what = "p50" if value is p50_of else "requests/s"
            name = f"{subject}: JPEG → boxes, {clients} client{'s' * (clients > 1)}: {what} / {bare}'s"
            yield goal(name, limit, measured, "one of the two was not run")
        first, later = self.of(subject, FIRST_JPEGS, HTTP, 1), self.of(subject, JPEG, HTTP, 1)
        slower = percentile(first.latencies, 0.5) / percentile(later.latencies, 0.5) if first and later else None
        yield _at_most(
            f"{subject}: the first 30 JPEGs: p50 / that of later ones", MOST_FIRST, slower, "they were not sent"
        )

    def _tensor_rows(self) -> Iterator[list[str]]:
        for subject in self.ours():
            both = [Subject(path, subject.engine, subject.precision) for path in (OURS, PER_PROCESSOR)]
            for kind, protocol in TENSOR_WAYS:
                cells = [
                    *(self._beside_bare(Case(each, kind, protocol, 1), p50_of).cell() for each in both),
                    *(self._beside_bare(Case(each, kind, protocol, 8), rps_of).cell() for each in both),
                ]
                yield [f"{subject.engine} {subject.precision}", kind, protocol, *cells]

    def _beside_bare(self, case: Case, value: Callable[[Measured], float]) -> Beside:
        """One of our cases beside the bare engine; `value`: p50_of or rps_of."""
        same = (Subject(path, case.subject.engine, case.subject.precision) for path in (BARE, FIXED))
        ours, fixed = (
            ratio(self.results.get(case), self.of(bare, FLOAT, IN_PROCESS, case.clients), value) for bare in same
        )
        if ours is None:
            return Beside(None, None, met=False)
        return Beside(ours, fixed, met=ours <= MOST_LATENCY if value is p50_of else ours >= LEAST_SPEED)


TENSOR_HEADER = [
    "engine",
    "tensor",
    "protocol",
    "1 client, p50: one instance",
    "instance per processor",
    "8 clients, requests/s: one instance",
    "instance per processor",
]
HEADER = [
    "path",
    "input",
    "protocol",
    "clients",
    "batch",
    "p50 ms",
    "p99 ms",
    "requests/s",
    "CPU ms/image",
    "client CPU ms/image",
    "peak MB",
    "kB/image on the wire",
    "p50 / bare ORT",
    "rps / usual",
    "CPU / bare ORT",
    "requests",
]


def _row(result: Result) -> dict[str, Any]:
    case, latencies = result.case, result.latencies
    return {
        "path": case.subject.path,
        "input": case.input,
        "engine": case.subject.engine,
        "precision": case.subject.precision,
        "protocol": case.protocol,
        "clients": case.clients,
        "batch": case.batch,
        "p50_ms": round(percentile(latencies, 0.5), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
        "rps": round(result.rps, 2),
        "cpu_ms_per_image": round(result.cpu_ms_per_image, 2),
        "peak_mb": round(result.peak_mb, 1),
        "wire_bytes": result.wire_bytes,
    }


def _at_most(name: str, limit: float, value: float | None, why: str) -> Goal:
    return Goal(name, f"≤ {limit:g}", value, None if value is None else value <= limit, why)


def _at_least(name: str, limit: float, value: float | None, why: str) -> Goal:
    return Goal(name, f"≥ {limit:g}", value, None if value is None else value >= limit, why)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
