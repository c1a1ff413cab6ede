"""`up` and `down`: from nothing to a running platform and back to nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

from . import cluster, gitremote, processes, servers
from .config import POD_PORTS, REPOSITORY_ROOT, Config, SandboxError


def state(config: Config) -> dict[str, Any] | None:
    """What the last `up` wrote, or None."""
    try:
        found: dict[str, Any] = json.loads(config.state.read_text())
    except FileNotFoundError:
        return None
    return found


def running(config: Config) -> dict[str, Any] | None:
    """The state of a platform whose every server is alive, or None."""
    found = state(config)
    if not found or not found["ready"]:
        return None
    whole = all(processes.alive(pid) and processes.started(pid) == since for pid, since in servers_of(found).items())
    return found if whole else None


def servers_of(found: dict[str, Any]) -> dict[int, int]:
    """Process id to start time of every server in a state."""
    return {server["pid"]: server["started"] for server in found["processes"].values()}


def up(config: Config) -> dict[str, Any]:
    """Start what is not running and return addresses; a platform that is up is only brought to the checkout's HEAD."""
    found = running(config)
    if found:
        gitremote.prepare(config)
        return found
    stopped = down(config)
    if stopped != Stopped():
        say(f"what was left of the last platform: {stopped.text()}")
    start = time.monotonic()
    processes.check_pod_ports(POD_PORTS)
    ports = (
        processes.port_for("Airflow", config.airflow_port, "AIRFLOW_PORT"),
        processes.port_for("MLflow", config.mlflow_port, "MLFLOW_PORT"),
    )
    config.home.mkdir(parents=True, exist_ok=True)
    if gitremote.uncommitted():
        say("note: uncommitted changes are not in the sandbox's git remote, so charts and model code run as committed")
    gitremote.prepare(config)
    found = {"identity": uuid.uuid4().hex, "processes": {}, "ready": False, "urls": {}}
    try:
        _start_all(config, found, *ports)
    except BaseException:
        down(config)
        raise
    say(f"platform is up ({time.monotonic() - start:.0f} s)")
    return found


def _start_all(config: Config, found: dict[str, Any], airflow_port: int, mlflow_port: int) -> None:
    base = servers.base_variables(config, found["identity"])
    home = servers.write_airflow_home(config)
    keys = servers.airflow_keys(home)
    _triton_image(config)

    def launch(server: servers.Server) -> None:
        log = config.logs / f"{server.name}.log"
        variables = base | keys | server.variables if server.name.startswith("airflow") else base | server.variables
        pid = processes.start(server.name, server.command, log, variables, REPOSITORY_ROOT)
        found["processes"][server.name] = {"pid": pid, "started": processes.started(pid)}
        _save(config, found)

    def wait(server: servers.Server) -> None:
        pid = found["processes"][server.name]["pid"]
        processes.wait_until(server.name, server.ready, pid, config.logs / f"{server.name}.log", server.seconds)
        say(f"{server.name} is up")

    mlflow, kube = servers.mlflow(config, mlflow_port), servers.kube(config)
    launch(mlflow)
    launch(kube)
    _migrate(config, base | keys | servers.airflow_variables(config, airflow_port, mlflow_port))
    airflow = servers.airflow(config, airflow_port, mlflow_port)
    for server in airflow:
        launch(server)
    wait(kube)
    mlflow_url = f"http://127.0.0.1:{mlflow_port}"
    api, environments = cluster.KubernetesApi(config), gitremote.environments(config)
    cluster.bootstrap(api, mlflow_url, environments)
    cluster.make_accounts(config, api, environments)
    launch(servers.argocd(config))
    for server in (mlflow, *airflow):
        wait(server)
    # The Kubernetes API's URL holds its secret, so it stays in the kubeconfig.
    found["urls"] = {"airflow": f"http://127.0.0.1:{airflow_port}", "mlflow": mlflow_url}
    found["ready"] = True
    _save(config, found)


def _migrate(config: Config, variables: dict[str, str]) -> None:
    """Bring Airflow's database to its schema, unless this Airflow has done it before: asking it costs seconds."""
    log, home = config.logs / "airflow-migrate.log", config.home / "airflow"
    stamp, version = home / "migrated", _airflow_version(config)
    if (home / "airflow.db").exists() and stamp.exists() and stamp.read_text() == version:
        return
    with log.open("ab") as output:
        done = subprocess.run(
            [str(config.python("airflow").with_name("airflow")), "db", "migrate"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SandboxError(f"Airflow's database could not be made; see {log}. `make clean` starts from nothing.")
    stamp.write_text(version)


def _airflow_version(config: Config) -> str:
    """The installed version, without importing Airflow: its folder of metadata is named after it."""
    found = config.python("airflow").parents[1].glob("lib/python*/site-packages/apache_airflow-*.dist-info")
    return " ".join(sorted(folder.name for folder in found))


def _triton_image(config: Config) -> None:
    """Lay out Triton's server and Python backend from the wheel, as NVIDIA's image has them."""
    script = REPOSITORY_ROOT / "tools" / "tritonserver" / "build.py"
    out = config.home / "images" / "triton"
    command = [sys.executable, str(script), "--venv", str(config.python("triton").parents[1]), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SandboxError(done.stderr.strip() or "Triton's image folder could not be made.")


@dataclass(frozen=True)
class Stopped:
    """What `down` ended."""

    servers: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    leftovers: int = 0

    def text(self) -> str:
        """One line for a person."""
        parts = [_counted(self.servers, "server"), _counted(self.pods, "pod")]
        if self.leftovers:
            parts.append(f"{self.leftovers} process{'es' if self.leftovers > 1 else ''} that they left behind")
        said = "; ".join(part for part in parts if part)
        return f"stopped {said}" if said else "nothing was running"


def _counted(names: tuple[str, ...], kind: str) -> str:
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({', '.join(names)})" if names else ""


def down(config: Config) -> Stopped:
    """End every process that this sandbox started, its children and leftovers too. Data stays."""
    found = state(config)
    if not found:
        return Stopped()
    identity, servers = found["identity"], servers_of(found)
    left, pods = processes.of_sandbox(identity, servers), processes.pods_of_sandbox(identity)
    # Argo CD first, so that it does not put back what ends; then the other servers, which end their own children.
    ordered = sorted(found["processes"].items(), key=lambda item: item[0] != "argocd")
    running = {name: server["pid"] for name, server in ordered if server["pid"] in left}
    processes.stop(list(running.values()))
    leftovers = processes.of_sandbox(identity, servers)
    processes.stop(leftovers, grace=5.0)
    config.state.unlink(missing_ok=True)
    return Stopped(tuple(running), tuple(sorted(pods)), len(leftovers))


def clean(config: Config) -> Stopped:
    """`down`, then remove the sandbox's state: runs, models, commits."""
    stopped = down(config)
    shutil.rmtree(config.home, ignore_errors=True)
    return stopped


def _save(config: Config, found: dict[str, Any]) -> None:
    partial = config.state.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(found, indent=1))
    partial.replace(config.state)


def say(line: str) -> None:
    """One line of progress."""
    print(f"  {line}", flush=True)
