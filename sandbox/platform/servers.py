"""The servers of the platform: how each is called, with which environment, and when it is ready."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .config import REPOSITORY_ROOT, Config, repository_branch, repository_url

# Only what a program needs to find its files; a person's own AIRFLOW__*, MLFLOW_* or proxy settings must not leak in.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE")


# A person's own settings of the product, and how often Airflow reads the DAGs.
PASSED_ON = ("LIFECYCLE_", "AIRFLOW__DAG_PROCESSOR__")


@dataclass(frozen=True)
class Server:
    """A process of the platform: its command, what it adds to the environment, and its readiness check."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]
    ready: Callable[[], bool]
    seconds: float = 120.0


def answers(url: str, check: Callable[[bytes], bool] = lambda body: True) -> bool:
    """Whether a GET of `url` succeeds and its body passes `check`."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return check(response.read())
    except (urllib.error.URLError, OSError, ValueError):
        return False


def base_variables(config: Config, identity: str) -> dict[str, str]:
    """The environment that every server starts from."""
    variables = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return variables | {
        "SANDBOX_ID": identity,
        "SANDBOX_HOME": str(config.home),
        "GIT_CONFIG_GLOBAL": str(config.gitconfig),
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
    }


def mlflow(config: Config, port: int) -> Server:
    """The MLflow server: SQLite, and artifacts in a folder that it serves by HTTP."""
    home = config.home / "mlflow"
    home.mkdir(parents=True, exist_ok=True)
    command = (
        str(config.python("airflow").with_name("mlflow")),
        "server",
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")),
    )
    bin_folder = str(config.python("airflow").parent)
    return Server(
        "mlflow",
        command,
        {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        lambda: answers(f"http://127.0.0.1:{port}/health"),
    )


def kube(config: Config) -> Server:
    """The Kubernetes stand-in; it writes its kubeconfig once it listens."""
    config.kubeconfig.unlink(missing_ok=True)
    options = ("--root", str(config.kube), "--port", "0", "--repository-root", str(REPOSITORY_ROOT))
    command = (sys.executable, "-m", "sandbox.kube", *options)
    return Server("kube", command, {"PYTHONPATH": str(REPOSITORY_ROOT)}, config.kubeconfig.exists, 30)


def argocd(config: Config) -> Server:
    """The Argo CD stand-in; ready at once, since it works through the Kubernetes API alone."""
    root = config.home / "argocd"
    command = (sys.executable, "-m", "sandbox.argocd", "--kubeconfig", str(config.kubeconfig), "--root", str(root))
    return Server("argocd", command, {"PYTHONPATH": str(REPOSITORY_ROOT)}, lambda: True)


def airflow_variables(
    config: Config, airflow_port: int, mlflow_port: int, account: str = "airflow-scheduler"
) -> dict[str, str]:
    """Airflow's settings: SQLite, LocalExecutor, this checkout's dags/ (unless a person's environment names another
    folder) and plugins/, connections as variables. `account`: the ServiceAccount that it is in the cluster.
    """
    home = config.home / "airflow"
    importable = [home / "config", REPOSITORY_ROOT / "clients" / "python", REPOSITORY_ROOT / "sandbox" / "airflow"]
    kubernetes = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(config.account_kubeconfig(account))}}
    tracking = {"conn_type": "http", "host": "127.0.0.1", "port": mlflow_port, "schema": "http"}
    return {
        "PATH": f"{config.python('airflow').parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": ":".join(map(str, importable)),
        "AIRFLOW__CORE__DAGS_FOLDER": os.environ.get("AIRFLOW__CORE__DAGS_FOLDER") or str(REPOSITORY_ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY_ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        # Anybody who can reach the port is an administrator, which is why it listens on loopback only.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{airflow_port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{airflow_port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # Five components write to one file. A write waits for another process's this many seconds, not SQLite's 5,
        # after which a busy machine's `make demo` would end with "Database error". Within the API server the plugin of
        # sandbox/airflow has them take turns.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps(kubernetes),
        "AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps(tracking),
        "LIFECYCLE_GITOPS_URL": repository_url(),
        "LIFECYCLE_GITOPS_BRANCH": repository_branch(),
        **{name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)},
    }


def airflow(config: Config, airflow_port: int, mlflow_port: int) -> list[Server]:
    """Airflow's four components; `airflow standalone` is not used because it opens log servers on every interface."""
    program = str(config.python("airflow").with_name("airflow"))

    def variables(account: str) -> dict[str, str]:
        return airflow_variables(config, airflow_port, mlflow_port, account)

    def healthy(component: str) -> Callable[[], bool]:
        url = f"http://127.0.0.1:{airflow_port}/api/v2/monitor/health"
        return lambda: answers(url, lambda body: json.loads(body).get(component, {}).get("status") == "healthy")

    return [
        Server(name, (program, *arguments), variables(name), healthy(component))
        for name, arguments, component in (
            ("airflow-api-server", ("api-server",), "metadatabase"),
            ("airflow-scheduler", ("scheduler", "--skip-serve-logs"), "scheduler"),
            ("airflow-dag-processor", ("dag-processor",), "dag_processor"),
            ("airflow-triggerer", ("triggerer", "--skip-serve-logs"), "triggerer"),
        )
    ]


def write_airflow_home(config: Config) -> Path:
    """Make AIRFLOW_HOME with the deployment's local settings and keys that last as long as the database."""
    home = config.home / "airflow"
    (home / "config").mkdir(parents=True, exist_ok=True)
    source = REPOSITORY_ROOT / "docker" / "airflow" / "airflow_local_settings.py"
    (home / "config" / "airflow_local_settings.py").write_text(source.read_text())
    keys = home / "keys.json"
    if not keys.exists():
        keys.touch(mode=0o600)
        keys.write_text(json.dumps({"jwt": secrets.token_urlsafe(32), "api": secrets.token_urlsafe(32)}))
    return home


def airflow_keys(home: Path) -> dict[str, str]:
    """The signing keys that the components must share, as settings."""
    keys = json.loads((home / "keys.json").read_text())
    return {"AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"], "AIRFLOW__API__SECRET_KEY": keys["api"]}
