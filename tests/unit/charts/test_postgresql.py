"""charts/postgresql: who runs the server, what is backed up, and dumps that bring a database back."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.support import kubernetes_schemas
from tests.unit.charts.conftest import CHART, Manifest, overlay

ROOT = CHART.parents[1]
DUMP = ROOT / "charts" / "postgresql" / "files" / "dump.sh"
OPERATED = {"type": "cloudnativepg"}
BACKUP = {"enabled": True, "destination": "s3://bucket/postgresql"}


def render(values: Manifest) -> dict[tuple[str, str], Manifest]:
    """Objects by kind and name."""
    with helm_python.Chart.load(ROOT / "charts" / "postgresql") as chart:
        texts = chart.render(values, name="postgresql", namespace="platform").values()
    found = [each for text in texts for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def dumps(objects: dict[tuple[str, str], Manifest]) -> dict[str, Any]:
    """Environment of the job that dumps; a Secret's value as (Secret, key)."""
    job = objects["CronJob", "postgresql-dumps"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return {
        each["name"]: each.get("value") or tuple(each["valueFrom"]["secretKeyRef"].values())
        for each in job["containers"][0]["env"]
    }


def test_one_server_without_an_operator_is_a_stateful_set() -> None:
    objects = render({"type": "statefulset"})
    assert not [kind for kind, _ in objects if kind in ("Cluster", "Database", "ScheduledBackup", "ObjectStore")]
    assert dumps(objects)["PGHOST"] == "postgresql"
    assert dumps(objects)["MLFLOW_PASSWORD"] == ("postgresql", "mlflow-password")
    for kind in ("StatefulSet", "Service"):
        # When an operator takes over, the databases stay where they are until a person has moved them.
        options = objects[kind, "postgresql"]["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
        assert options == "Prune=false"


def test_the_operator_makes_each_database_with_its_owner_and_keeps_it() -> None:
    objects = render(OPERATED)
    assert not [kind for kind, _ in objects if kind in ("StatefulSet", "Service", "ScheduledBackup", "ObjectStore")]
    spec = objects["Cluster", "postgresql"]["spec"]
    assert spec["instances"] == 2
    assert spec["bootstrap"]["initdb"]["owner"] == spec["bootstrap"]["initdb"]["database"] == "airflow"
    (role,) = spec["managed"]["roles"]
    assert (role["name"], role["passwordSecret"]["name"]) == ("mlflow", "postgresql-mlflow")
    assert objects["Database", "postgresql-mlflow"]["spec"]["owner"] == "mlflow"
    assert dumps(objects)["PGHOST"] == "postgresql-rw"
    assert dumps(objects)["MLFLOW_PASSWORD"] == ("postgresql-mlflow", "password")
    kept = objects["Cluster", "postgresql"]["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
    assert kept == "Prune=false,Delete=false", "its claims go with it"


def test_pg_dump_is_of_the_servers_version() -> None:
    values = yaml.safe_load((ROOT / "charts" / "postgresql" / "values.yaml").read_text())
    server = values["cloudnativepg"]["image"].rpartition(":")[2]
    assert server.partition(".")[0] == values["image"]["tag"].partition(".")[0], "an older pg_dump refuses"


@pytest.mark.parametrize("secret", ["mlflow-server", ""])
def test_backups_go_to_the_store_with_keys_or_by_the_account(secret: str) -> None:
    objects = render(overlay(OPERATED, {"cloudnativepg": {"backup": {**BACKUP, "existingSecret": secret}}}))
    (plugin,) = objects["Cluster", "postgresql"]["spec"]["plugins"]
    scheduled = objects["ScheduledBackup", "postgresql"]["spec"]
    assert plugin["name"] == scheduled["pluginConfiguration"]["name"]
    assert len(scheduled["schedule"].split()) == 6, "seconds first"
    store = objects["ObjectStore", plugin["parameters"]["barmanObjectName"]]["spec"]
    assert store["configuration"]["destinationPath"] == "s3://bucket/postgresql"
    keys = store["configuration"]["s3Credentials"]
    assert keys.get("accessKeyId") == ({"name": secret, "key": "AWS_ACCESS_KEY_ID"} if secret else None)
    assert keys.get("inheritFromIAMRole") == (None if secret else True)


def test_dumps_can_be_left_out() -> None:
    assert not [name for _, name in render({"dumps": {"enabled": False}}) if "dumps" in name]


def test_the_job_that_dumps_is_valid_and_restricted() -> None:
    job = render(OPERATED)["CronJob", "postgresql-dumps"]
    kubernetes_schemas.validate(job, "1.34")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    # Else the Service of the StatefulSet would send clients to the job.
    service = render({"type": "statefulset"})["Service", "postgresql"]["spec"]["selector"]
    assert not service.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"type": "operator"}, "/type"),
        ({"cloudnativepg": {"image": "postgres:latest"}}, "/cloudnativepg/image"),
        ({"cloudnativepg": {"backup": {**BACKUP, "destination": "s3://bucket"}}}, "/cloudnativepg/backup/destination"),
        ({"cloudnativepg": {"backup": {"schedule": "0 2 * * *"}}}, "/cloudnativepg/backup/schedule"),
        ({"dumps": {"keep": 0}}, "/dumps/keep"),
    ],
)
def test_a_wrong_value_is_named(values: Manifest, said: str) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        render(values)


def program(name: str) -> str | None:
    """Path of one of PostgreSQL's programs; Debian puts those of the server beside PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


@dataclass
class Server:
    """A PostgreSQL with the roles and databases that databases.sh makes, on a socket in `home`."""

    home: Path
    user: int | None

    def run(
        self, *command: str, given: dict[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A program as the server's user; PostgreSQL refuses root."""
        tools = Path(program("initdb") or "").parent
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "PGHOST": str(self.home), "HOME": str(self.home), "LC_ALL": "C", **(given or {})}
        done = subprocess.run(
            command, env=environment, cwd=self.home, user=self.user, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    def ask(self, database: str, sql: str) -> str:
        """What a query answers."""
        return self.run("psql", "-qAt", "-U", "postgres", "-d", database, "-c", sql).stdout.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Debian's PostgreSQL."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed: `apt-get install --no-install-recommends postgresql`")
    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = Server(Path(folder), 65534 if os.getuid() == 0 else None)
        if server.user is not None:
            os.chown(folder, server.user, -1)
        server.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c fsync=off -k {folder}"
        server.run("pg_ctl", "-D", "data", "-w", "-o", options, "-l", "log", "start")
        script = (ROOT / "charts" / "postgresql" / "files" / "databases.sh").read_text()
        roles = {"DATABASES": "airflow mlflow", "POSTGRES_USER": "postgres"}
        server.run("sh", "-c", script, given={**roles, "AIRFLOW_PASSWORD": "a", "MLFLOW_PASSWORD": "m"})
        yield server
        server.run("pg_ctl", "-D", "data", "-m", "immediate", "stop")


def test_a_dump_brings_a_database_back_and_old_ones_go(server: Server) -> None:
    server.run("psql", "-U", "mlflow", "-d", "mlflow", "-c", "create table runs as select 7 as id")
    folder = server.home / "dumps"
    server.run("mkdir", "-p", "dumps/mlflow")
    for day in ("01", "02", "03"):
        server.run("touch", f"dumps/mlflow/2026-01-{day}T013000Z.dump")
    server.run("touch", "dumps/mlflow/2026-01-04T013000Z.dump.part")
    given = {"DUMPS": str(folder), "KEEP": "2", "DATABASES": "airflow mlflow"}
    given |= {"AIRFLOW_PASSWORD": "a", "MLFLOW_PASSWORD": "m"}
    server.run("sh", "-c", DUMP.read_text(), given=given)
    kept = sorted(path.name for path in (folder / "mlflow").iterdir())
    assert len(kept) == 2
    assert kept[0] == "2026-01-03T013000Z.dump", "the newest of those before"
    assert len(list((folder / "airflow").iterdir())) == 1

    server.ask("mlflow", "drop table runs")
    restore = ("pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", "-U", "mlflow", "-d", "mlflow")
    server.run(*restore, str(folder / "mlflow" / kept[1]))
    assert server.ask("mlflow", "select id from runs") == "7"

    # A database that cannot be dumped fails the job, and takes no dump with it; the other one is dumped.
    before = sorted((folder / "mlflow").iterdir())
    lost = {**given, "DATABASES": "lost mlflow", "LOST_PASSWORD": "x", "KEEP": "3"}
    failed = server.run("sh", "-c", DUMP.read_text(), given=lost, check=False)
    assert failed.returncode == 1
    assert "lost was not dumped" in failed.stderr
    assert set(before) <= set((folder / "mlflow").iterdir())
    assert list((folder / "lost").iterdir()) == []
