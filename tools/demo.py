"""`python -m tools.demo`: run the pipeline once in a sandbox, as a person would, and report what came out.

    python -m tools.demo --airflow URL --mlflow URL --repository FOLDER --home FOLDER

`make demo` calls it with what `make up` has started. Exit code 0: the new version answers; 3: it was rejected, and what
was live stays live; 1: the run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tools.dagrun import DAG, FAILED, LIVE, Progress, ending, follow, parameters, say
from tools.rest import Airflow, Mlflow, RestError, call

READ_SECONDS = 120  # until Airflow has read the DAG


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--airflow", required=True, help="Airflow's address")
    parser.add_argument("--mlflow", required=True, help="MLflow's address")
    parser.add_argument("--repository", required=True, type=Path, help="the git repository that the DAG commits to")
    parser.add_argument("--home", required=True, type=Path, help="where report.json and the picture are written")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> int:
    """Trigger the DAG, follow it, write and print the report; the exit code.

    Raises:
        RestError: Airflow or MLflow does not answer or refuses.
        ValueError: DEMO_PARAMS is not a JSON object.
    """
    start = time.monotonic()
    params = parameters()
    airflow, mlflow = Airflow(options.airflow, DAG), Mlflow(options.mlflow)
    while not airflow.known():
        if time.monotonic() > start + READ_SECONDS:
            raise RestError(f"Airflow has not read {DAG} in {READ_SECONDS} s; see its dag-processor's log.")
        time.sleep(0.5)
    dag_run = airflow.trigger(params)
    sys.stdout.write(f"\n  {DAG} {dag_run}: {options.airflow}/dags/{DAG}/runs/{dag_run}\n\n")
    tasks = follow(airflow, dag_run, Progress(say, mlflow))
    ended = ending(airflow, dag_run, tasks)
    if ended.code != LIVE:
        sys.stderr.write(f"\n{ended.said}\n")
        return ended.code
    found = report(options, airflow, mlflow, dag_run, tasks)
    found["seconds"]["total"] = round(time.monotonic() - start, 1)
    (options.home / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    sys.stdout.write(text(found, options))
    if found["served_version"] != found["model_version"]:
        sys.stderr.write(f"Triton serves version {found['served_version']}, not {found['model_version']}.\n")
        return FAILED
    return LIVE


def report(
    options: argparse.Namespace, airflow: Airflow, mlflow: Mlflow, dag_run: str, tasks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Collect the facts from the systems that hold them: MLflow, git, and Triton itself."""
    opened, promoted = airflow.xcom(dag_run, "open_run"), airflow.xcom(dag_run, "promote")
    verified = airflow.xcom(dag_run, "verify_serving")
    run_id = opened["run_id"]
    found = mlflow.run(run_id)
    served = served_config(f"{verified['url']}/v2/models/{opened['served_model']}/config")["parameters"]
    picture = options.home / "detections.png"
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
        "environment": opened["environment"],
        "alias": mlflow.alias(opened["registered_model"], opened["environment"]),
        "picture": str(picture),
        "seconds": {task["task_id"]: round(task["duration"], 1) for task in tasks if task["duration"]},
        "urls": {
            "airflow": options.airflow,
            "mlflow": options.mlflow,
            "triton": verified["url"],
            "triton_grpc": verified["grpc_url"],
        },
    }


def served_config(url: str) -> dict[str, Any]:
    """What Triton says of a model. As the DAG's own proof does, it asks again where nothing was answered.

    Raises:
        RestError: no answer three times, or one that is an error.
    """
    for left in (2, 1, 0):
        try:
            found: dict[str, Any] = call("GET", url, seconds=20)
            return found
        except RestError as error:
            if error.status is not None or not left:
                raise
    raise AssertionError("the last try returns or raises")


def text(found: dict[str, Any], options: argparse.Namespace) -> str:
    """The report as a person reads it, with the commit as git has it."""
    show = ["git", "-C", str(options.repository), "show", "--no-color", found["commit"]]
    commit = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    rollout = found["seconds"].get("wait_for_rollout", 0.0)
    lines = [
        "",
        f"dataset      digest {found['dataset_digest'][:16]}…",
        f"held-out     mAP50 {found['map50']:.3f}   mAP50-95 {found['map50_95']:.3f}",
        f"registered   {found['model_name']} version {found['model_version']}, run {found['run_id']}",
        f"commit       {found['commit'][:12]}",
        "",
        *(f"    {line}" for line in commit.splitlines()),
        "",
        f"rollout      synced and healthy after {rollout:.1f} s",
        f"served       {found['environment']}: Triton says version {found['served_version']} of {found['model_name']}",
        f"picture      {os.path.relpath(found['picture'])}",
        f"report       {os.path.relpath(options.home / 'report.json')}",
        *(f"{name:<12} {found['urls'][name]}" for name in ("airflow", "mlflow", "triton")),
        "",
        f"All of it took {found['seconds']['total']:.0f} s.",
        f"To put it into production too: {found['urls']['airflow']}/dags/yolo_promote, Trigger; its form is filled in.",
        "`make status` shows what is live; `make down` stops the platform.",
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Run the demo; errors that a person can fix are one paragraph on stderr."""
    try:
        return run(arguments(argv))
    except (RestError, ValueError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\ndemo: interrupted. The run continues in Airflow; `make down` stops the platform.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
