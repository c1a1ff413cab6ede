"""Runs the cases in interleaved rounds and adds them up.

On a shared machine what others do changes from second to second. So every round runs each of its cases once, those
that are compared shortly after one another, in an order of its own; a ratio is taken between two cases of the same
round, and its median over the rounds is what is reported.
"""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.serving.cases import Case, Subject
from benchmarks.serving.subjects import Measurable, Measured

# ONNX Runtime's threads spin for a while after a run: the next case is not to pay for that.
PAUSE = 0.15
# At one client in FP32, more than the 30 images after which our server compiles the model for their shape.
WARM_UP = 1.5
LEAST_ROUNDS = 2


@dataclass(frozen=True)
class Plan:
    """How long to measure: `rounds` of the headline cases, of which every `sweep_every`-th runs all cases.

    Before each window the same load runs for a part of it (`warm_up`), unmeasured: kernels that reclaim idle memory
    early (DAMON, on cloud machines) take away what a server has not touched while the others were measured.
    """

    rounds: int
    sweep_every: int
    seconds: float
    sweep_seconds: float
    budget: float
    warm_up: float = 0.5


QUICK = Plan(rounds=4, sweep_every=0, seconds=0.8, sweep_seconds=0.0, budget=180)
FULL = Plan(rounds=7, sweep_every=7, seconds=0.8, sweep_seconds=1.2, budget=1150)


@dataclass
class Result:
    """All rounds of one case."""

    case: Case
    rounds: dict[int, Measured] = field(default_factory=dict)
    wire_bytes: int = 0

    @property
    def latencies(self) -> list[float]:
        """Milliseconds of every request, sorted."""
        return sorted(1000 * each for measured in self.rounds.values() for each in measured.window.latencies)

    @property
    def seconds(self) -> float:
        """Length of all windows."""
        return sum(measured.window.seconds for measured in self.rounds.values())

    @property
    def images(self) -> int:
        """Pictures answered in all windows."""
        return self.case.batch * sum(len(measured.window.latencies) for measured in self.rounds.values())

    @property
    def rps(self) -> float:
        """Requests a second."""
        return self.images / self.case.batch / self.seconds

    @property
    def cpu_ms_per_image(self) -> float:
        """Processor time of whoever serves."""
        return 1000 * sum(measured.window.cpu for measured in self.rounds.values()) / self.images

    @property
    def client_cpu_ms_per_image(self) -> float:
        """Processor time of the clients."""
        return 1000 * sum(measured.window.client_cpu for measured in self.rounds.values()) / self.images

    @property
    def peak_mb(self) -> float:
        """The most memory that was seen."""
        return max(measured.peak_mb for measured in self.rounds.values())


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` (0-1) of the sorted values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def p50_of(measured: Measured) -> float:
    """Median latency of one round, seconds."""
    return median(measured.window.latencies)


def rps_of(measured: Measured) -> float:
    """Requests a second of one round."""
    return len(measured.window.latencies) / measured.window.seconds


def cpu_of(measured: Measured) -> float:
    """Processor seconds of whoever serves, a request of one round."""
    return measured.window.cpu / len(measured.window.latencies)


def ratio(result: Result | None, base: Result | None, value: Callable[[Measured], float]) -> float | None:
    """Median, over the rounds that both were run in, of what `value` gives for one over the other."""
    if result is None or base is None:
        return None
    shared = [index for index in result.rounds if index in base.rounds]
    ratios = [value(result.rounds[index]) / value(base.rounds[index]) for index in shared]
    return median(ratios) if ratios else None


def neighbours(cases: Sequence[Case], order: random.Random) -> list[Case]:
    """A round's cases: those of one engine and number of clients together, whose ratios are what is reported.

    The headline first; else in an order that is drawn, of the groups and within each.
    """
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in order.sample(cases, len(cases)):
        key = (not case.headline, case.subject.engine, case.subject.precision, case.clients)
        groups.setdefault(key, []).append(case)
    return [case for key in sorted(groups, key=lambda key: bool(key[0])) for case in groups[key]]


def run_rounds(
    subjects: Mapping[Subject, Measurable], cases: Sequence[Case], plan: Plan, say: Callable[[str], None]
) -> dict[Case, Result]:
    """Measures every case; beyond the headline, and beyond LEAST_ROUNDS, only as long as the plan's budget lasts.

    Returns:
        For each case that was run, all its rounds.
    """
    results = {case: Result(case) for case in cases}
    headline = [case for case in cases if case.headline]
    order = random.Random(0)
    until = time.monotonic() + plan.budget
    say(f"warming up {len(headline)} cases")
    for case in headline:  # every way that is measured in each round, until our server has compiled what comes often
        subjects[case.subject].measure(case, WARM_UP)
        time.sleep(PAUSE)
    for index in range(plan.rounds):
        if index >= LEAST_ROUNDS and time.monotonic() > until:
            say(f"the time is over ({plan.budget:g} s): {index} rounds")
            break
        sweep = bool(plan.sweep_every) and index % plan.sweep_every == 1
        chosen = list(cases) if sweep else list(headline)
        chosen = neighbours(chosen, order)
        say(f"round {index + 1} of {plan.rounds}: {len(chosen)} cases")
        for case in chosen:
            if not case.headline and time.monotonic() > until:
                say(f"the time is over ({plan.budget:g} s): not run in this round: {case}")
                continue
            time.sleep(PAUSE)
            seconds = plan.seconds if case.headline else plan.sweep_seconds
            subjects[case.subject].measure(case, seconds * plan.warm_up)
            measured = subjects[case.subject].measure(case, seconds)
            if measured.window.latencies:
                results[case].rounds[index] = measured
    done = {case: result for case, result in results.items() if result.rounds}
    say(f"bytes on the wire of {len(done)} cases")
    known: dict[tuple[object, ...], int] = {}
    for case, result in done.items():
        # Not of every number of clients: a request is the same.
        key = (case.subject.path, case.input, case.protocol, case.batch)
        if key not in known:
            known[key] = subjects[case.subject].wire_bytes(case)
        result.wire_bytes = known[key]
    return done
