"""The unmodified KubernetesPodOperator of Airflow's provider."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from kubernetes import client

from sandbox.tests.support import airflow_home
from sandbox.tests.support.kube import Server

DAG = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

STREAM = "import time; [print('at', time.time(), flush=True) or time.sleep(0.5) for _ in range(4)]"
FAIL = "import sys; sys.exit('ERROR: no such dataset')"


def pod(task_id, code, finish):
    return KubernetesPodOperator(
        task_id=task_id, name=task_id, namespace="{namespace}", image="ghcr.io/your-org/python:1",
        cmds=["python", "-u", "-c"], arguments=[code], config_file="{kubeconfig}", in_cluster=False,
        on_finish_action=finish, termination_message_policy="FallbackToLogsOnError",
    )


with DAG("pods", schedule=None) as dag:
    pod("stream", STREAM, "delete_pod") >> pod("fail", FAIL, "keep_pod")

if __name__ == "__main__":
    for task in dag.test().get_task_instances():
        print("TASK", task.task_id, task.state)
"""


def run_dag(server: Server, namespace: str, folder: Path) -> str:
    """Everything that `dag.test` printed, in a process of its own."""
    dags = folder / "dags"
    dags.mkdir()
    file = dags / "pods.py"
    file.write_text(DAG.format(namespace=namespace, kubeconfig=server.kubeconfig))
    env = airflow_home.make(folder / "home", dags)
    command = [sys.executable, str(file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180, check=False)
    return done.stdout + done.stderr


# End to end has the operator's pods, too; here they are looked at more closely.
@pytest.mark.extended
def test_pod_operator_streams_logs_and_reports_a_failure(
    server: Server, core: client.CoreV1Api, namespace: str, tmp_path: Path
) -> None:
    output = run_dag(server, namespace, tmp_path)
    assert "TASK stream success" in output, output
    assert "TASK fail failed" in output, output
    lines = [line for line in output.splitlines() if "[base] at " in line]
    assert len(lines) == 4
    # Airflow logged the first line before the pod wrote the last one.
    logged = datetime.fromisoformat(lines[0].split()[0].replace("Z", "+00:00")).timestamp()
    assert logged < float(lines[-1].split("[base] at ")[1].split()[0])
    # A pod that is not running at the first look costs the operator five seconds.
    assert "Pod has reached Running phase" in output and "Waiting 120s to get the POD running" not in output
    # The first pod was deleted; the second was kept, marked, with its reason.
    (pod,) = core.list_namespaced_pod(namespace).items
    assert pod.metadata.labels["already_checked"] == "True"
    ended = pod.status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.message.strip()) == (1, "ERROR: no such dataset")
