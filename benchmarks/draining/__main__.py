"""Replace a server under clients that keep their connections, with a proxy in the pod and without; measure its cost.

    .venv/dev/bin/python -m benchmarks.draining                    # HAProxy and none: 10 minutes
    .venv/dev/bin/python -m benchmarks.draining --only gRPC 64     # some of its rows; the others stay
    … --way nginx=FILE --way envoy=FILE                            # other proxies, by their programs

Real Tritons behind a switch that stands for the Service. Each row is one rollout: the old pod's processes get what the
kubelet sends, half a second later the switch hands new connections to the new pod; kept ones stay where they are. The
model answers at once. All clients together send about `--rate` requests a second, so that connections are idle between
them; 0: as many as they can.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.draining.clients import BUFFERED
from benchmarks.draining.cost import cost
from benchmarks.draining.pods import Pod, Service
from benchmarks.draining.proxies import KINDS, Proxy, haproxy_of_sandbox
from benchmarks.draining.rolls import roll
from benchmarks.pages import RESULTS, markdown_table, write_section
from benchmarks.serving.machine import this_machine
from benchmarks.serving.processes import BenchmarkError
from benchmarks.serving.triton import build_image

BODIES = {"32 B": bytes(32), "1 MB": bytes(1_000_000)}
CLIENTS = (1, 8, 64)
# The last differs for requests that are more than gRPC keeps by default.
PROTOCOLS = ("HTTP", "gRPC", BUFFERED)
DIRECT = "none"
ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "benchmarks" / "draining.json"
KEY = ("table", "proxy", "protocol", "clients", "body")


class Site:
    """Makes pods, each with an address and a version of its own."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._triton = build_image(work / "image")
        # So that two runs on one machine do not meet.
        self._net = f"127.{random.randint(16, 239)}.{random.randint(0, 255)}"
        self._numbers = itertools.count(1)

    @contextmanager
    def pods(self, proxy: Proxy | None, count: int) -> Iterator[list[Pod]]:
        """Running ones, which are ready."""
        made = []
        for number in itertools.islice(self._numbers, count):
            pod = Pod(number, f"{self._net}.{number}", self._triton, proxy, self._work / str(number))
            pod.start()
            made.append(pod)
        try:
            for pod in made:
                pod.wait_ready()
            yield made
        finally:
            for pod in made:
                pod.kill()


def measure(site: Site, proxy: Proxy | None, protocol: str, clients: int, body: str, rate: float = 0) -> dict[str, Any]:
    """One rollout."""
    service = Service()
    try:
        with site.pods(proxy, 2) as (old, new):
            seen = roll(service, old, new, protocol, BODIES[body], clients, clients / rate if rate else 0)
    finally:
        service.close()
    return asdict(seen)


def rows(site: Site, proxies: Sequence[Proxy | None], only: set[str], rate: float) -> Iterator[dict[str, Any]]:
    """Every row that `only` leaves: one that says nothing else than `only` names."""
    for proxy, protocol, clients, body in itertools.product(proxies, PROTOCOLS, CLIENTS, BODIES):
        key = {"proxy": proxy.name if proxy else DIRECT, "protocol": protocol, "clients": clients, "body": body}
        if only - {"cost"} <= {protocol, str(clients), body} and not (protocol == BUFFERED and body != "1 MB"):
            if "cost" not in only:
                yield {"table": "rollouts", **key, **measure(site, proxy, protocol, clients, body, rate)}
            if proxy and protocol != BUFFERED and clients < max(CLIENTS) and (not only or "cost" in only):
                with site.pods(proxy, 1) as (pod,):
                    yield {"table": "cost", **key, **asdict(cost(pod, protocol, BODIES[body], clients))}


def ordered(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the tables show them, whatever the order in which they were taken."""
    places = (["rollouts", "cost"], [DIRECT, *(kind.name for kind in KINDS.values())], PROTOCOLS, CLIENTS, list(BODIES))
    return sorted(found, key=lambda row: [place.index(row[name]) for name, place in zip(KEY, places, strict=True)])


def table(about: str, found: list[dict[str, Any]]) -> str:
    """What RESULTS.md shows; `about`: when and on what they were measured."""
    rolls = [
        [
            *(str(row[name]) for name in KEY[1:]),
            f"{row['requests']:,}",
            str(row["failed"]),
            f"{max(0.0, row['old_seconds']):.1f}",
            f"{row['end_seconds']:.1f}",
            ", ".join(f"{name} {code}" for name, code in row["codes"].items()),
        ]
        for row in found
        if row["table"] == "rollouts"
    ]
    costs = [
        [
            *(str(row[name]) for name in KEY[1:]),
            *(f"{value:.2f}" for value in row["p50_ms"]),
            *(f"{value:.0f}" for value in row["rps"]),
            f"{row['proxy_cpu_ms']:.2f}",
            f"{row['proxy_mb']:.0f}",
        ]
        for row in found
        if row["table"] == "cost"
    ]
    head = ["proxy", "protocol", "clients", "body"]
    outcome = ["requests", "failed", "old answers for (s)", "pod ends after (s)", "exit codes"]
    prices = ["p50 direct (ms)", "through", "requests/s direct", "through", "proxy's CPU ms/request", "its MB"]
    lines = [about, "", *markdown_table(head + outcome, rolls), ""]
    return "\n".join([*lines, *markdown_table(head + prices, costs)])


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 1 and one paragraph on stderr where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draining", description=__doc__)
    parser.add_argument("--way", action="append", help="none, or haproxy, nginx, envoy with =FILE")
    parser.add_argument(
        "--only", nargs="*", default=[], help="of HTTP, gRPC, 1, 8, 64, '32 B', '1 MB'; cost: no rollouts"
    )
    parser.add_argument("--rate", type=float, default=400)
    parser.add_argument("--rows", type=Path, default=ROWS)
    options = parser.parse_args(arguments)
    proxies: list[Proxy | None] = []
    known = json.loads(options.rows.read_text(encoding="utf-8"))["rows"] if options.rows.exists() else []
    found = {tuple(row[name] for name in KEY): row for row in known}
    try:
        for way in options.way or [DIRECT, f"haproxy={haproxy_of_sandbox()}"]:
            kind, _, binary = way.partition("=")
            proxies.append(None if kind == DIRECT else KINDS[kind](Path(binary)))
        with tempfile.TemporaryDirectory() as folder:
            for row in rows(Site(Path(folder)), proxies, set(options.only), options.rate):
                print(json.dumps(row), flush=True)
                found[tuple(row[name] for name in KEY)] = row
    except BenchmarkError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    about, taken = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {this_machine()}.", ordered(found.values())
    options.rows.write_text(json.dumps({"about": about, "rows": taken}, indent=1) + "\n", encoding="utf-8")
    if options.rows == ROWS:
        write_section(RESULTS, "draining", table(about, taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
