"""One release of the chart as Prometheus sees it: real servers with the chart's own arguments, and clients."""

from __future__ import annotations

import copy
import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from tests.integration.monitoring.documented import Documented
from tests.integration.monitoring.prometheus import Prometheus
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import end
from tests.support.rendered import NAMESPACE, RELEASE, VALUES, Manifest, one, render
from tests.support.triton import Triton, add_model

MODEL = "digits"
# The tests choose these themselves.
OWN = ("--model-repository=", "--http-", "--grpc-", "--metrics-address=", "--metrics-port=")


def values_for(version: Registered, **rule: float) -> Manifest:
    """The ci file's values with this version in Git, explicit model control, and some limits of the rules changed."""
    values = copy.deepcopy(VALUES)
    values["models"][0] |= {
        "name": MODEL,
        "registeredModel": version.name,
        "version": version.version,
        "sha256": version.sha256,
        "runId": version.run_id,
    }
    values["server"] = {"modelControlMode": "explicit"}
    values["monitoring"]["prometheusRule"] |= rule
    return values


def infer(address: str, images: np.ndarray) -> str:
    """One request by gRPC; the error that it got, or nothing."""
    with triton_grpc.InferenceServerClient(address) as client:
        return _infer(client, images)


def _infer(client: triton_grpc.InferenceServerClient, images: np.ndarray) -> str:
    tensor = triton_grpc.InferInput("images", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    try:
        client.infer(MODEL, [tensor], client_timeout=30)
    except InferenceServerException as error:
        return str(error)
    return ""


class Load:
    """Threads that ask a server again and again, with batches of several sizes."""

    def __init__(self, address: str, clients: int = 3) -> None:
        self._address, self._stop = address, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number + 1,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, batch: int) -> None:
        images = np.random.default_rng(batch).random((batch, 3, 160, 160), np.float32)
        with triton_grpc.InferenceServerClient(self._address) as client:
            # What fails is for the tests to see in the metrics; a server that is gone is not asked without a pause.
            while not self._stop.wait(0.2 if _infer(client, images) else 0.05):
                pass


@dataclass
class Release:
    """The pods of the release, what stands beside them, and the Prometheus that watches all of it."""

    prometheus: Prometheus
    documented: Documented
    executable: Path
    mlflow: Mlflow
    folder: Path
    stack: ExitStack
    pods: dict[str, Triton] = field(default_factory=dict)

    def start_pod(self, name: str, version: Registered, load: bool = True) -> Triton:
        """Starts a server of a version with the arguments of the chart's Deployment, and has it scraped."""
        (container,) = one(render(values_for(version)), "Deployment")["spec"]["template"]["spec"]["containers"]
        options = tuple(argument for argument in container["args"] if not argument.startswith(OWN))
        repository = self.folder / name / "models"
        repository.mkdir(parents=True)
        add_model(repository, MODEL, version.parameters())
        variables = {"MLFLOW_TRACKING_URI": self.mlflow.uri, "MODEL_CACHE_DIR": str(self.folder / name / "cache")}
        # A server that outlives its model's process fails its requests, which is what the alert is for.
        variables["MODEL_ON_CRASH"] = "stay"
        pod = self.stack.enter_context(Triton(self.executable, repository, variables, options).running())
        pod.wait_ready(MODEL, seconds=120)
        self.pods[name] = pod
        self.documented.tritons[name] = pod.metrics
        self.scrape()
        if load:
            self.stack.enter_context(Load(pod.grpc))
        return pod

    def end_pod(self, name: str) -> None:
        """Ends a server at once, and Prometheus forgets it, as it does a pod that was deleted."""
        server = self.pods.pop(name).process
        assert server is not None
        end(server, patience=0)
        del self.documented.tritons[name]
        self.scrape()
        self.prometheus.wait(f'{{pod="{name}"}}', present=False)

    def scrape(self) -> None:
        """Tell Prometheus of every pod, with the labels that the operator gives, and of Argo CD and Airflow."""
        targets = [
            (
                f"{self.documented.url}/triton/{name}",
                {
                    "namespace": NAMESPACE,
                    "job": RELEASE,
                    "pod": name,
                    "service": f"{RELEASE}-{MODEL}",
                    "container": "triton",
                    "endpoint": "metrics",
                    "instance": name,
                },
            )
            for name in self.pods
        ]
        targets.append((f"{self.documented.url}/argocd", {"namespace": "argocd", "job": "argocd-metrics"}))
        targets.append((f"{self.documented.url}/airflow", {"namespace": "airflow", "job": "airflow-statsd"}))
        self.prometheus.watch(targets)

    def kill_model_process(self, name: str) -> None:
        """Kills the process in which model.py runs, as the kernel does when memory runs out."""
        server = self.pods[name].process
        assert server is not None
        for task in Path(f"/proc/{server.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"triton_python_backend_stub" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)
