"""`python -m lifecycle lineage`: from a running server back to its origins, as a person calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.support.airflow_environment import ROOT


def lineage(platform: Platform, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lifecycle", "lineage", "--url", platform.served.url, "--model=digits", *options]
    variables = os.environ | {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'clients' / 'python'}"}
    uri = platform.servers.mlflow_url
    return subprocess.run(
        command, env={**variables, "MLFLOW_TRACKING_URI": uri}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], tuple[int, str, str]]]:
    """The same command without the seconds that a process of its own takes to start: exit code and what it printed."""
    from lifecycle.cli.main import main
    from lifecycle.connections import connections, use

    before = connections()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", platform.servers.mlflow_url)

    def called() -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["lineage", "--url", platform.served.url, "--model=digits"])
        said = capfd.readouterr()
        return code, said.out, said.err

    yield called
    use(before)


@pytest.fixture
def live(platform: Platform, run: Run) -> tuple[Platform, str]:
    ended = run(**platform.params())
    assert ended.state == "success", ended.text[-5000:]
    return platform, ended.run_id


def test_chain_of_a_running_server_and_what_breaks_it(
    live: tuple[Platform, str], again: Callable[[], tuple[int, str, str]]
) -> None:
    platform, dag_run = live
    told = lineage(platform, "--json")
    assert told.returncode == 0, told.stderr
    names = {link["what"]: link["name"] for link in json.loads(told.stdout)}
    run = platform.client.get_run(platform.served.run_id)
    assert names == {
        "server": platform.served.url,
        "code": platform.repository.code,
        "version": f"{platform.model} 1",
        "run": platform.served.run_id,
        "dataset": run.data.tags["dataset_digest"],
        "dag_run": f"digits/{dag_run}",
        "commit": platform.repository.tip,
    }
    code, text, _ = again()
    assert code == 0
    assert f"version  {platform.model} 1" in text
    assert "aliases staging" in text

    # The same server with another file than MLflow has, and then not answering.
    platform.served.sha256 = "0" * 64
    code, _, error = again()
    assert code == 1
    assert "\nERROR: " in f"\n{error}" and "they are different files" in error
    platform.served.version = None
    code, said, error = again()
    assert (code, said) == (1, "")
    assert "does not answer" in error
