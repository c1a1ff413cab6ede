"""The demo: trigger `yolo_lifecycle` as a person would, show what happens, and report what came out."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from . import gitremote, rest
from .config import Config, SandboxError

DAG = "yolo_lifecycle"
DONE = {"success", "failed", "skipped", "upstream_failed", "removed"}


def parameters() -> dict[str, Any]:
    """The run's parameters beside the DAG's own defaults: JSON in DEMO_PARAMS."""
    text = os.environ.get("DEMO_PARAMS") or "{}"
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SandboxError(f"DEMO_PARAMS is not JSON ({error}): {text}") from error
    if not isinstance(found, dict):
        raise SandboxError(f'DEMO_PARAMS must be a JSON object such as {{"epochs": 4}}, not {text}.')
    return found


class Progress:
    """Prints a line when a task changes its state and, while training, a line an epoch."""

    def __init__(self, mlflow: rest.Mlflow) -> None:
        self._mlflow = mlflow
        self._states: dict[str, str] = {}
        self._epochs = 0
        self._start = time.monotonic()
        self._terminal = sys.stdout.isatty()

    def show(self, tasks: list[dict[str, Any]], run_id: str | None) -> None:
        """Print what changed since the last call."""
        for task in tasks:
            name, state = task["task_id"], task["state"] or "waiting"
            if state in ("running", "deferred", "up_for_retry", *DONE) and self._states.get(name) != state:
                self._states[name] = state
                seconds = f"{task['duration']:6.1f} s" if state in DONE and task["duration"] else ""
                retry = f" (try {task['try_number']})" if (task["try_number"] or 1) > 1 else ""
                self._line(f"{name:<18} {state:<16}{seconds}{retry}")
            if name == "train" and state == "running" and run_id:
                self._show_epochs(run_id)
        if self._terminal:
            active = ", ".join(t["task_id"] for t in tasks if t["state"] in ("running", "deferred"))
            print(f"\r\033[K  {self._clock()}  … {active}", end="", flush=True)

    def _show_epochs(self, run_id: str) -> None:
        total = int(self._mlflow.run(run_id)["metrics"].get("epochs_total", 0))
        for step, value in self._mlflow.history(run_id, "val/mAP50"):
            if step > self._epochs:
                self._epochs = step
                self._line(f"  epoch {step}/{total or '?'}   validation mAP50 {value:.3f}")

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        return f"{minutes:02d}:{seconds:02d}"

    def _line(self, text: str) -> None:
        clear = "\r\033[K" if self._terminal else ""
        print(f"{clear}  {self._clock()}  {text}", flush=True)


def run(config: Config, urls: dict[str, str]) -> int:
    """Trigger the DAG, follow it to its end, write and print the report; 0 only if the new version answered."""
    start = time.monotonic()
    airflow, mlflow = rest.Airflow(urls["airflow"], DAG), rest.Mlflow(urls["mlflow"])
    deadline = start + 120
    while not airflow.known():
        if time.monotonic() > deadline:
            raise SandboxError(f"Airflow has not read {DAG} in 120 s; see {config.logs}/airflow-dag-processor.log.")
        time.sleep(0.5)
    params = parameters()
    dag_run = airflow.trigger(params)
    print(f"\n  {DAG} {dag_run}: {urls['airflow']}/dags/{DAG}/runs/{dag_run}\n", flush=True)
    progress, run_id = Progress(mlflow), None
    while True:
        state = airflow.state(dag_run)
        tasks = airflow.tasks(dag_run)
        run_id = run_id or _mlflow_run(airflow, dag_run, tasks)
        progress.show(tasks, run_id)
        if state in ("success", "failed"):
            break
        time.sleep(1)
    print()
    if state == "failed" or not _succeeded(tasks, "set_champion"):
        return _explain(airflow, dag_run, tasks)
    report = _report(config, airflow, mlflow, dag_run, tasks, str(run_id), urls)
    report["seconds"]["total"] = round(time.monotonic() - start, 1)
    config.report.write_text(json.dumps(report, indent=2) + "\n")
    _print(config, report)
    if report["served_version"] != report["model_version"]:
        print(f"Triton serves version {report['served_version']}, not {report['model_version']}.", file=sys.stderr)
        return 1
    return 0


def _succeeded(tasks: list[dict[str, Any]], name: str) -> bool:
    return any(task["task_id"] == name and task["state"] == "success" for task in tasks)


def _mlflow_run(airflow: rest.Airflow, dag_run: str, tasks: list[dict[str, Any]]) -> str | None:
    if not _succeeded(tasks, "open_run"):
        return None
    opened = airflow.xcom(dag_run, "open_run")
    return str(opened["run_id"]) if opened else None


def _explain(airflow: rest.Airflow, dag_run: str, tasks: list[dict[str, Any]]) -> int:
    """Say which tasks failed or skipped and why, from their own logs."""
    for task in tasks:
        if task["state"] == "failed" or (task["state"] == "skipped" and task["start_date"]):
            lines = [line for line in airflow.log(dag_run, task) if line.strip()]
            print(f"{task['task_id']} {task['state']}. The end of its log:", file=sys.stderr)
            print("\n".join(f"    {line}" for line in lines[-25:]), file=sys.stderr)
    print("The new version is not live; what was live before still is.", file=sys.stderr)
    return 1


def _report(
    config: Config,
    airflow: rest.Airflow,
    mlflow: rest.Mlflow,
    dag_run: str,
    tasks: list[dict[str, Any]],
    run_id: str,
    urls: dict[str, str],
) -> dict[str, Any]:
    """Collect the facts from the systems that hold them: MLflow, git, and Triton itself."""
    found = mlflow.run(run_id)
    promoted, verified = airflow.xcom(dag_run, "promote"), airflow.xcom(dag_run, "verify_serving")
    opened = airflow.xcom(dag_run, "open_run")
    served = rest.call("GET", f"{verified['url']}/v2/models/{opened['served_model']}/config")["parameters"]
    picture = config.home / "detections.png"
    picture.write_bytes(mlflow.artifact(run_id, "serving/detections.png"))
    return {
        "run_id": run_id,
        "dag_run_id": dag_run,
        "dataset_digest": found["tags"]["dataset_digest"],
        "map50": round(found["metrics"]["test/mAP50"], 4),
        "map50_95": round(found["metrics"]["test/mAP50-95"], 4),
        "model_name": opened["registered_model"],
        "model_version": int(verified["version"]),
        "sha256": found["tags"]["sha256"],
        "commit": promoted["commit"],
        "served_version": int(served["mlflow_model_version"]["string_value"]),
        "champion": mlflow.alias(opened["registered_model"], "champion"),
        "picture": str(picture),
        "seconds": {task["task_id"]: round(task["duration"], 1) for task in tasks if task["duration"]},
        "urls": {**urls, "triton": verified["url"], "triton_grpc": verified["grpc_url"]},
    }


def _print(config: Config, report: dict[str, Any]) -> None:
    commit = gitremote.show(config, report["commit"])
    print(f"dataset      digest {report['dataset_digest'][:16]}…")
    print(f"held-out     mAP50 {report['map50']:.3f}   mAP50-95 {report['map50_95']:.3f}")
    print(f"registered   {report['model_name']} version {report['model_version']}, run {report['run_id']}")
    print(f"commit       {report['commit'][:12]}\n")
    print("\n".join(f"    {line}" for line in commit.splitlines()))
    rollout = report["seconds"].get("wait_for_rollout", 0.0)
    print(f"\nrollout      synced and healthy after {rollout:.1f} s")
    print(f"served       Triton says version {report['served_version']} of {report['model_name']}")
    print(f"picture      {_relative(Path(report['picture']))}")
    print(f"report       {_relative(config.report)}")
    for name in ("airflow", "mlflow", "triton"):
        print(f"{name:<12} {report['urls'][name]}")
    print(f"\nAll of it took {report['seconds']['total']:.0f} s.")
    print("`make status` shows what is live; `make down` stops the platform.")


def _relative(path: Path) -> str:
    return os.path.relpath(path)
