"""The platform of all end-to-end tests, as a person at a terminal and in the web interfaces has it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.platform import cluster, processes, updown
from sandbox.platform.config import Config
from tools import rest

ROOT = Path(__file__).resolve().parents[2]

# A training that draws no figures, which can take longer than the training itself.
QUICK = {"plots": False}
OWN = yaml.safe_load((ROOT / "dags" / "pipelines" / "digits.yaml").read_text())["train"]["hyperparameters"]
# The demo with fewer epochs and a lower gate: how well it learns on this processor is not what these tests are about.
DEMO = {"epochs": 3, "hyperparameters": OWN | QUICK, "min_map50": 0.5, "max_regression": 0.5}
# Seconds of training, for a run whose model is to be refused.
TINY = {"dataset": "digits?images=150", "epochs": 1, "hyperparameters": QUICK}
# The files whose commits are the demo's detector's.
DETECTOR = "argocd-apps/*/detector/values.yaml"
# In every pod of the DAG the claim `workspace` is mounted here.
WORKSPACE = "/workspace"


@dataclass
class Platform:
    """A separate sandbox, in its folder, on free ports and with its DAGs."""

    home: Path
    dags: Path

    def ended_file(self, module: str) -> Path:
        """Is there once the tests of a module have ended."""
        return self.home / f"{module}-ended"

    def make(self, target: str, params: dict[str, Any] | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a make target as a person would, and return its exit code and output."""
        command = ["make", "--no-print-directory", target]
        return subprocess.run(command, cwd=ROOT, env=self.variables(params, **extra), capture_output=True, text=True)

    def variables(self, params: dict[str, Any] | None = None, **extra: str) -> dict[str, str]:
        """A person's environment, without what the outer make put there."""
        outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHONPATH"}
        own = {"SANDBOX_HOME": str(self.home), "AIRFLOW_PORT": "0", "MLFLOW_PORT": "0"}
        own |= {"AIRFLOW__CORE__DAGS_FOLDER": str(self.dags), "LIFECYCLE_SOAK_POLL": "1"}
        # No file changes after the start; read again every 30 seconds, they take a tenth of the tests' processor time.
        own |= {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"}
        params_text = {"DEMO_PARAMS": json.dumps(params)} if params else {}
        return {k: v for k, v in os.environ.items() if k not in outer} | own | params_text | extra

    def report(self) -> dict[str, Any]:
        """What the last demo wrote."""
        found: dict[str, Any] = json.loads((self.home / "report.json").read_text())
        return found

    def state(self) -> dict[str, Any]:
        """Addresses and process ids of the running platform."""
        found: dict[str, Any] = json.loads((self.home / "platform.json").read_text())
        return found

    def processes(self) -> list[int]:
        """Every process of this sandbox."""
        state = self.state()
        return processes.of_sandbox(state["identity"], updown.servers_of(state))

    def api(self) -> cluster.KubernetesApi:
        """The Kubernetes API."""
        return cluster.KubernetesApi(Config(self.home, 0, 0))

    def airflow(self, dag: str = "digits") -> rest.Airflow:
        """Airflow's REST API."""
        return rest.Airflow(self.state()["urls"]["airflow"], dag)

    def finish(self, params: dict[str, Any], dag: str = "digits", seconds: float = 400) -> tuple[str, str]:
        """Trigger a DAG and wait for its end: (run id, state)."""
        run = self.airflow(dag).trigger(params)
        return run, self.ended(run, dag, seconds)

    def ended(self, run: str, dag: str = "digits", seconds: float = 400) -> str:
        """Wait for the end of a run, and return its state."""
        airflow, deadline = self.airflow(dag), time.monotonic() + seconds
        while (state := airflow.state(run)) not in ("success", "failed"):
            assert time.monotonic() < deadline, f"{dag} {run} is still {state} after {seconds} s: {airflow.tasks(run)}"
            time.sleep(1)
        return str(state)

    def tasks(self, run: str, dag: str = "digits") -> dict[str, str]:
        """The state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self.airflow(dag).tasks(run)}

    def log(self, run: str, task_id: str, dag: str = "digits") -> str:
        """The log of a task's last try, as Airflow shows it."""
        airflow = self.airflow(dag)
        task = next(task for task in airflow.tasks(run) if task["task_id"] == task_id)
        return "\n".join(airflow.log(run, task))

    def git(self, *arguments: str) -> str:
        """Git in the sandbox's remote."""
        command = ["git", "-C", str(self.home / "git" / "yolo-lifecycle.git"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def tip(self, files: str = DETECTOR) -> str:
        """The last commit that touched the demo's detector, in any environment."""
        return self.git("log", "-1", "--format=%H", "main", "--", files)

    def next_release(self, images: int = 150, epochs: int = 1) -> dict[str, Any]:
        """Params of a run that continues from the last demo's weights: it detects, after seconds of training."""
        weights = f"{WORKSPACE}/runs/{self.report()['run_id']}/training/weights/best.pt"
        gentle = QUICK | {"optimizer": "AdamW", "lr0": 0.0001, "warmup_epochs": 0, "mosaic": 0, "fliplr": 0}
        dataset = f"digits?images={images}"
        return {**DEMO, "model": weights, "dataset": dataset, "epochs": epochs, "hyperparameters": gentle}

    def trainings(self, model: str = "digits-detector") -> dict[int, str]:
        """The running trainings of a registered model: process id → id of the MLflow run."""
        found = {}
        for pid in self.processes():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if {b"trainer", b"train", f"--registered-model={model}".encode()} <= set(words):
                run = next(entry for entry in variables if entry.startswith(b"MLFLOW_RUN_ID="))
                found[pid] = run.partition(b"=")[2].decode()
        return found

    def has_checkpoint(self, run_id: str) -> bool:
        """Whether the training of an MLflow run has left something to continue from in the claim."""
        claim = self.home / "kube" / "volumes" / "lifecycle" / "workspace"
        return (claim / "runs" / run_id / "checkpoint" / "state.json").exists()

    def served(self, url: str = "", model: str = "digits") -> int:
        """The version that Triton says it serves: the demo's in staging, or at another address."""
        config = rest.call("GET", f"{url or self.report()['urls']['triton']}/v2/models/{model}/config")
        return int(config["parameters"]["mlflow_model_version"]["string_value"])

    def aliases(self, model: str = "digits-detector") -> tuple[str | None, ...]:
        """The versions with the aliases staging, production and champion."""
        mlflow = rest.Mlflow(self.state()["urls"]["mlflow"])
        return tuple(mlflow.alias(model, name) for name in ("staging", "production", "champion"))

    def versions(self, model: str = "digits-detector") -> list[int]:
        """All versions of a registered model."""
        answer = self._mlflow(f"search?filter=name%3D%27{model}%27")
        return sorted(int(version["version"]) for version in answer.get("model_versions", []))

    def next_version(self, model: str = "digits-detector") -> dict[str, Any]:
        """Wait for one more version of a registered model, and return what MLflow has of it."""
        before, deadline = self.versions(model), time.monotonic() + 400
        while (now := self.versions(model)) == before:
            assert time.monotonic() < deadline, f"no version of {model} was registered"
            time.sleep(0.2)
        found: dict[str, Any] = self._mlflow(f"get?name={model}&version={now[-1]}")["model_version"]
        return found

    def _mlflow(self, path: str) -> Any:
        return rest.call("GET", f"{self.state()['urls']['mlflow']}/api/2.0/mlflow/model-versions/{path}")
