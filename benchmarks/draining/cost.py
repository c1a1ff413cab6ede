"""What the way through the proxy costs: the same requests by the pod's own ports and by Triton's behind it."""

import time
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.draining.clients import CLIENTS, GrpcClient, HttpClient
from benchmarks.draining.pods import Pod
from benchmarks.serving.load import Call, closed_loop

PORTS = {"HTTP": (18000, 8000), "gRPC": (18001, 8001)}


@dataclass(frozen=True)
class Cost:
    """Medians over the rounds; each pair is direct, through the proxy.

    Attributes:
        p50_ms: of a request.
        rps: requests a second of all clients.
        proxy_cpu_ms: processor time of the proxy a request.
        proxy_mb: resident memory of the proxy afterwards.
    """

    p50_ms: tuple[float, float]
    rps: tuple[float, float]
    proxy_cpu_ms: float
    proxy_mb: float


def cost(pod: Pod, protocol: str, body: bytes, clients: int, seconds: float = 1.5, rounds: int = 2) -> Cost:
    """Measures both ways in turn, so that other work on the machine meets both."""
    proxy = psutil.Process(pod.proxy_pid)
    taken: dict[int, list[tuple[float, float, float]]] = {port: [] for port in PORTS[protocol]}
    for _ in range(rounds):
        for port in PORTS[protocol]:
            taken[port].append(_window(proxy, protocol, (pod.address, port), body, clients, seconds))
    direct, through = ([median(each[index] for each in taken[port]) for index in range(3)] for port in PORTS[protocol])
    return Cost((direct[0], through[0]), (direct[1], through[1]), through[2], proxy.memory_info().rss / 2**20)


def _window(
    proxy: psutil.Process, protocol: str, address: tuple[str, int], body: bytes, count: int, seconds: float
) -> tuple[float, float, float]:
    def cpu() -> float:
        times = proxy.cpu_times()
        return times.user + times.system

    made = [CLIENTS[protocol](address, body) for _ in range(count)]
    window = closed_loop([_call(client) for client in made], seconds, cpu, time.process_time)
    for client in made:
        client.close()
    answers = len(window.latencies)
    return 1000 * median(window.latencies), answers / window.seconds, 1000 * window.cpu / answers


def _call(client: HttpClient | GrpcClient) -> Call:
    def call(number: int) -> None:
        client.ask()

    return call
