"""`make test`: lint, types and every suite, each part in the environment of the image whose code it tests.

    python -m tools.tests                         lint, types and every suite
    python -m tools.tests --only gitops,trainer   these parts, with their set-up and nothing else
    python -m tools.tests unit                    one suite, or lint, or types
    python -m tools.tests --extended              what `make test` leaves out to be quicker
    python -m tools.tests --soak                  the long forms, which it leaves to the nights

Runs on a bare machine: the standard library only. All steps run even when one fails; at the end stand the seconds of
each and the ten slowest tests. What waits for servers half of the time, end to end and integration, runs side by side,
and after them trainings, lint and types; the units take what these leave of the processor.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from xml.etree import ElementTree

from tools import coverage
from tools.parts import ARGOCD_TYPES, DEBIAN, ROOT, SUITES, Part, parts
from tools.programs import Programs

VENV = ROOT / ".venv"
DEV = VENV / "dev" / "bin"
RESULTS = ROOT / ".test-results"
# Compiled once for all processes of all runs, and nothing is written beside the code: in a folder of Triton's models it
# would count as a change. Where the machine forbids writing it, each of hundreds of processes would compile all that it
# imports.
COMPILED = {"PYTHONPYCACHEPREFIX": str(VENV / "pycache"), "PYTHONDONTWRITEBYTECODE": ""}
SLOWEST = 10
# pytest's exit code where no test was chosen: every test of a part is a long form, or none is.
NOTHING_CHOSEN = 5
# Where the packages whose arrows are held are imported from.
IMPORTED = ("plugins", "clients/python", "docker/trainer", ".")


PROGRAMS = Programs()

# Which tests each command runs, by their marks (pyproject.toml).
CHOSEN = {"": "not extended and not soak", "extended": "extended and not soak", "soak": "soak"}

# Steps that only compute leave the processor to those beside them that wait for servers with a time limit.
POLITE = ("nice", "-n", "10")

Action = Callable[[IO[str] | None], int]


@dataclass
class Outcome:
    """What became of the steps so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    tests: list[tuple[float, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"passed": 0, "failed": 0, "skipped": 0})

    def step(self, name: str, action: Action, output: IO[str] | None = None) -> bool:
        """Run a step, count its seconds, remember whether it failed. Its output goes to a file, or is shown at once."""
        print(f"== {name}", flush=True)
        start = time.monotonic()
        whole = action(output) == 0
        self.seconds[name] = time.monotonic() - start
        self.failed += [] if whole else [name]
        if output is not None:
            output.seek(0)
            print(output.read(), flush=True)
        print(f"== {name}: {self.seconds[name]:.0f} s", flush=True)
        return whole

    def lanes(self, *lanes: dict[str, Action]) -> None:
        """Run lanes side by side, and the steps of each one after another.

        The first lane is shown as it goes, the others' steps when they have ended.
        """

        def follow(lane: dict[str, Action], shown: bool) -> None:
            for name, action in lane.items():
                with ExitStack() as stack:
                    output = None if shown else stack.enter_context(TemporaryFile("w+"))
                    self.step(name, action, output)

        used = [lane for lane in lanes if lane]
        with ThreadPoolExecutor(max(len(used), 1)) as pool:
            running = [pool.submit(follow, lane, shown=not number) for number, lane in enumerate(used)]
            for each in running:
                each.result()


def call(output: IO[str] | None, *command: str | Path, **variables: str) -> int:
    """Run a program in the repository's root; its exit code."""
    return PROGRAMS.call([str(word) for word in command], ROOT, {**os.environ, **variables}, output)


def set_up(chosen: list[Part], output: IO[str] | None) -> int:
    """Environments, Debian's programs, Argo CD's and KServe's types, as far as the parts need them."""
    names = sorted(set().union(*(part.environments for part in chosen)))
    steps = [[sys.executable, "-m", "tools.environments", *names]]
    if any(part.name in DEBIAN for part in chosen):
        steps.append([sys.executable, "-m", "tools.packages"])
    if any(part.name in ARGOCD_TYPES for part in chosen):
        steps.append([str(DEV / "python"), "-m", "tests.schemas.argocd.install"])
        steps.append([str(DEV / "python"), "-m", "tests.schemas.kserve.install"])
    return next((code for step in steps if (code := call(output, *step, **COMPILED))), 0)


def lint(output: IO[str] | None) -> int:
    """Style, format, and the arrows between packages."""
    checks = ([DEV / "ruff", "check", "."], [DEV / "ruff", "format", "--check", "."], [DEV / "lint-imports"])
    return max(call(output, *POLITE, *check, PYTHONPATH=":".join(IMPORTED)) for check in checks)


def types(output: IO[str] | None) -> int:
    """mypy, each part in its image's environment."""
    return call(output, *POLITE, DEV / "python", "-m", "tools.typecheck")


CHECKS: dict[str, Action] = {"lint": lint, "types": types}


def polite(suite: str, environment: str) -> tuple[str, ...]:
    """What comes before a suite's command: units compute, and so do trainings."""
    return POLITE if suite == "unit" or environment == "trainer" else ()


def run(chosen: list[Part], options: argparse.Namespace, outcome: Outcome, output: IO[str] | None) -> int:
    """Run parts of one suite and environment; 0 if every test passed."""
    suite, environment = chosen[0].suite, chosen[0].environment
    results = RESULTS / f"{suite}-{environment}.xml"
    python_path = [str(coverage.HOOK), str(VENV / "pytest")] if environment != "dev" else []
    variables = {
        **COMPILED,
        # Programs that come from Debian's packages; the system's own are found first.
        "PATH": f"{os.environ['PATH']}:{VENV / 'apt' / 'usr' / 'bin'}",
        # Nothing talks to anything but loopback: ONNX Runtime's telemetry is on by default.
        "ORT_DISABLE_TELEMETRY": "1",
        **({"PYTHONPATH": ":".join(python_path)} if python_path else {}),
        # End to end runs no line that the others do not, and measuring costs each of its processes a fifth.
        **(coverage.variables() if options.coverage and suite != "e2e" else {}),
    }
    command: list[str | Path] = [*polite(suite, environment), VENV / environment / "bin" / "python", "-m", "pytest"]
    command.append("--quiet")
    if environment == "dev":
        # The same examples each time, and none refused because the machine was slow.
        command.append("--hypothesis-profile=ci")
    # End to end is the demo's detector; its further tests have a second one, at the same time on one platform.
    workers = (2 if options.tier else 1) if suite == "e2e" else options.workers
    command += [f"--numprocesses={workers}", "--dist=loadgroup"]
    command += ["-m", CHOSEN[options.tier], f"--junitxml={results}"]
    code = call(output, *command, *(part.folder for part in chosen), **variables)
    _read(results, outcome)
    return 0 if code == NOTHING_CHOSEN else code


def _read(results: Path, outcome: Outcome) -> None:
    """Take seconds and counts from a results file."""
    if not results.exists():
        return
    for case in ElementTree.parse(results).iter("testcase"):
        outcome.tests.append(
            (float(case.get("time", 0)), f"{case.get('classname')}::{_without_group(case.get('name', ''))}")
        )
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcome.counts[state] += 1


def _without_group(name: str) -> str:
    """A test's name without what tells pytest-xdist which tests belong together (conftest.py)."""
    return re.sub(r"@[\w./-]+\]?$", "", name)


def groups(
    chosen: list[Part], suites: tuple[str, ...], options: argparse.Namespace, outcome: Outcome
) -> dict[str, Action]:
    """A step for the parts of each suite and environment, the largest first."""
    found: dict[tuple[str, str], list[Part]] = {}
    for part in chosen:
        if part.suite in suites:
            found.setdefault((part.suite, part.environment), []).append(part)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return {
        f"{suite} in {environment}: {' '.join(part.name for part in group)}": partial(run, group, options, outcome)
        for (suite, environment), group in ordered
    }


def conclude(outcome: Outcome, options: argparse.Namespace) -> int:
    """Print what took how long and whether all is well; the exit code."""
    if options.coverage and outcome.tests:
        outcome.step("coverage", coverage.report)
    if outcome.tests:
        print(f"\nThe {SLOWEST} slowest tests")
    for seconds, name in sorted(outcome.tests, reverse=True)[:SLOWEST]:
        print(f"  {seconds:7.1f} s  {name}")
    print("\nSeconds")
    for name, seconds in outcome.seconds.items():
        print(f"  {seconds:7.0f} s  {name}{'   FAILED' if name in outcome.failed else ''}")
    print(f"  {time.monotonic() - options.start:7.0f} s  in all\n")
    if outcome.failed:
        print(f"failed: {', '.join(outcome.failed)}", file=sys.stderr, flush=True)
    if outcome.tests:
        print(", ".join(f"{count} {state}" for state, count in outcome.counts.items()))
    return 1 if outcome.failed else 0


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.tests", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="step", help=f"of {', '.join((*CHECKS, *SUITES))}; none: all")
    parser.add_argument("--only", default="", help="names of parts, with commas between")
    tiers = parser.add_mutually_exclusive_group()
    for tier, said in (("extended", "what is left out to be quicker"), ("soak", "the long forms")):
        tiers.add_argument(f"--{tier}", dest="tier", action="store_const", const=tier, default="", help=said)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="tests that run at once")
    options = parser.parse_args(argv)
    if unknown := set(options.steps) - {*CHECKS, *SUITES}:
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    # A part alone, or what `make test` leaves out alone, cannot reach the floor of the whole.
    options.whole = not (options.steps or options.only or options.tier)
    options.suites = [suite for suite in SUITES if suite in options.steps or not options.steps]
    options.checks = [check for check in CHECKS if check in options.steps or options.whole]
    options.coverage = options.whole
    options.start = time.monotonic()
    return options


def main(argv: list[str]) -> int:
    """Run what is asked for; 0 only if everything passed."""
    options = arguments(argv)
    try:
        chosen = parts(options.suites, [name for name in options.only.split(",") if name])
    except ValueError as error:
        print(f"ONLY: {error}", file=sys.stderr)
        return 2
    with PROGRAMS.ended_with_us():
        code = test(chosen, options)
        # A test that leaves a process behind has failed, whatever it says.
        return 1 if PROGRAMS.end_what_is_left() else code


def test(chosen: list[Part], options: argparse.Namespace) -> int:
    """Set up, run all steps, conclude; the exit code."""
    outcome = Outcome()
    # Types are checked in every environment.
    needed = parts() if options.checks else chosen
    if not outcome.step("set-up", partial(set_up, needed)):
        return conclude(outcome, options)
    RESULTS.mkdir(exist_ok=True)
    for old in RESULTS.glob("*.xml"):
        old.unlink()
    if options.coverage:
        coverage.forget()
    trainings = [part for part in chosen if part.environment == "trainer"]
    servers = [part for part in chosen if part.environment != "trainer"]
    outcome.lanes(
        {**groups(servers, ("integration",), options, outcome), **{name: CHECKS[name] for name in options.checks}},
        {**groups(chosen, ("e2e",), options, outcome), **groups(trainings, ("integration",), options, outcome)},
        groups(chosen, ("unit",), options, outcome),
    )
    return conclude(outcome, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
