"""What a stage's servers have counted: from Prometheus, or from Triton's own statistics over its HTTP API."""

from __future__ import annotations

import math
from typing import Any

import requests

from lifecycle.errors import StatisticsUnavailable
from lifecycle.model.names import HTTP_PORT
from lifecycle.model.target import Target
from lifecycle.policy.soak import Conduct, Counters

SECONDS = 10
TRITON_HTTP = 8000


def triton_counters(url: str, model: str) -> Counters:
    """What one server has counted for a model since it started.

    Raises:
        StatisticsUnavailable: it does not answer, or not as Triton does.
    """
    told = _json(f"{url}/v2/models/{model}/stats", {})
    try:
        each = [entry["inference_stats"] for entry in told["model_stats"]]
        good = sum(int(stats["success"]["count"]) for stats in each)
        failed = sum(int(stats["fail"]["count"]) for stats in each)
        took = sum(int(stats["success"]["ns"]) for stats in each)
    except (KeyError, TypeError, ValueError) as error:
        raise StatisticsUnavailable(f"{url} does not tell statistics of {model} as Triton does: {error!r}") from error
    return Counters(good + failed, failed, took)


def servers(pods: list[dict[str, Any]]) -> dict[str, str]:
    """The HTTP address of each pod that has one, by its name."""
    found = {}
    for pod in pods:
        if address := (pod.get("status") or {}).get("podIP"):
            ports = [port for each in pod["spec"]["containers"] for port in each.get("ports") or []]
            numbers = [port["containerPort"] for port in ports if port.get("name") == HTTP_PORT]
            host = f"[{address}]" if ":" in address else address
            found[pod["metadata"]["name"]] = f"http://{host}:{(numbers or [TRITON_HTTP])[0]}"
    return found


def prometheus_conduct(url: str, target: Target, seconds: int) -> Conduct:
    """How a model's servers did in the last seconds, by the chart's recording rules and Triton's 99th percentile.

    Raises:
        StatisticsUnavailable: Prometheus does not answer, or refuses.
    """
    series = f'{{namespace="{target.environment}",job="{target.app}",model="{target.model}"}}'
    failed = f"sum(sum_over_time(yolo:requests_failed:rate5m{series}[{seconds}s]))"
    every = f"sum(sum_over_time(yolo:requests:rate5m{series}[{seconds}s]))"
    slow = f'max(max_over_time(nv_inference_request_summary_us{{quantile="0.99",{series[1:]}[{seconds}s])) / 1e3'
    asked = _value(url, every)
    if not asked:
        return Conduct(None, None, "Prometheus")
    return Conduct((_value(url, failed) or 0.0) / asked, _value(url, slow), "Prometheus, 99th percentile of latency")


def _value(url: str, query: str) -> float | None:
    told = _json(f"{url.rstrip('/')}/api/v1/query", {"query": query})
    try:
        found = told["data"]["result"]
        value = float(found[0]["value"][1]) if found else math.nan
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StatisticsUnavailable(f"{url} does not answer as Prometheus does: {error!r}") from error
    return None if math.isnan(value) else value


def _json(url: str, params: dict[str, str]) -> Any:
    try:
        answer = requests.get(url, params=params, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise StatisticsUnavailable(f"Statistics could not be read: {error}") from error
