"""Metrics of what does not run in these tests, with the names and labels that their makers give.

- Argo CD: docs/operator-manual/metrics.md and controller/metrics/metrics.go of argoproj/argo-cd.
- Airflow: its metrics table (`dagrun.duration.success.{dag_id}`, `dagrun.duration.failed.{dag_id}`,
  `dag.{dag_id}.{task_id}.duration`) through the statsd-exporter mapping of the official chart
  (chart/files/statsd-mappings.yml of apache/airflow): timers arrive as summaries in seconds.
- GPU: "GPU Metrics" of Triton's user guide; appended to what the real server says, where it has no GPU.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GPU = """\
nv_gpu_utilization{gpu_uuid="GPU-0f1e"} 0.42
nv_gpu_memory_total_bytes{gpu_uuid="GPU-0f1e"} 25757220864
nv_gpu_memory_used_bytes{gpu_uuid="GPU-0f1e"} 2147483648
nv_gpu_power_usage{gpu_uuid="GPU-0f1e"} 71.5
"""


class Documented:
    """Serves /argocd, /airflow, and /triton/<pod>, which is a real Triton's page with a GPU's lines added."""

    def __init__(self, application: str, dag: str) -> None:
        self.application, self.dag = application, dag
        self.sync_status: str | None = "Synced"
        self.succeeded, self.failed = 0, 0
        self.tritons: dict[str, str] = {}
        self.url = ""

    def page(self, path: str) -> str:
        """The metrics at a path.

        Raises:
            KeyError: there is no such page.
            OSError: the Triton behind it does not answer.
        """
        if path.startswith("/triton/"):
            with urllib.request.urlopen(self.tritons[path.rpartition("/")[2]], timeout=5) as response:
                return str(response.read().decode()) + GPU
        return {"/argocd": self._argocd, "/airflow": self._airflow}[path]()

    def _argocd(self) -> str:
        if self.sync_status is None:
            return ""
        labels = {
            "autosync_enabled": "true",
            "dest_namespace": "staging",
            "dest_server": "https://kubernetes.default.svc",
            "health_status": "Healthy",
            "name": self.application,
            "namespace": "argocd",
            "operation": "",
            "project": "yolo-lifecycle",
            "repo": "https://github.com/your-org/yolo-lifecycle",
            "sync_status": self.sync_status,
        }
        inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
        return f"# TYPE argocd_app_info gauge\nargocd_app_info{{{inner}}} 1\n"

    def _airflow(self) -> str:
        lines = ["# TYPE airflow_scheduler_heartbeat counter", 'airflow_scheduler_heartbeat{type="counter"} 12']
        for name, runs, seconds in (
            ("airflow_dagrun_duration", self.succeeded, 240),
            ("airflow_dagrun_failed", self.failed, 30),
        ):
            if runs:
                lines += summary(name, f'dag_id="{self.dag}"', runs, seconds)
        if self.succeeded:
            for task, seconds in (("prepare", 12), ("train", 180), ("promote", 4)):
                labels = f'dag_id="{self.dag}",task_id="{task}"'
                lines += summary("airflow_task_duration", labels, self.succeeded, seconds)
        return "\n".join(lines) + "\n"

    @contextmanager
    def running(self) -> Iterator[Documented]:
        """Serves on loopback."""
        documented = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    text, status = documented.page(self.path), 200
                except (KeyError, OSError) as error:
                    text, status = str(error), 503
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def summary(name: str, labels: str, count: int, seconds: float) -> list[str]:
    """Lines of one summary, as the StatsD exporter writes a timer."""
    quantiles = [f'{name}{{{labels},quantile="{quantile}"}} {seconds}' for quantile in ("0.5", "0.9", "0.99")]
    return [
        f"# TYPE {name} summary",
        *quantiles,
        f"{name}_sum{{{labels}}} {seconds * count}",
        f"{name}_count{{{labels}}} {count}",
    ]
