"""cluster/settings.toml: read, checked against what each key may be, and completed by what follows from it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import SettingsError

Value = str | bool | int
ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ROOT / "cluster" / "settings.toml"
PLACEHOLDER = "your-org"

SIZE = r"[0-9]+(Mi|Gi|Ti)"
NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
# Key to the type or the form that its text must have.
FORMS: Mapping[str, type | str] = {
    "repository.url": r"https?://[^\s@]+",
    "repository.branch": r"[A-Za-z0-9_][A-Za-z0-9_./-]*",
    "repository.private": bool,
    "repository.delivery": r"push|github|gitlab|gitea",
    "images.registry": r"[a-z0-9][a-z0-9./:_-]*[a-z0-9]",
    "images.tag": r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "images.pull_secret": r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?",
    "platform.argocd": bool,
    "platform.monitoring": bool,
    "platform.postgresql": r"cloudnativepg|statefulset|external",
    "platform.cloudnativepg": bool,
    "platform.database_backups": bool,
    "cluster.kind": r"current|k3d|kind",
    "cluster.size": r"standard|small",
    "cluster.name": NAME,
    "cluster.context": r"\S*",
    "ingress.enabled": bool,
    "ingress.class": NAME,
    "ingress.domain": r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
    "storage.workspace_size": SIZE,
    "storage.workspace_access": r"ReadWriteOnce|ReadWriteMany",
    "storage.cache_access": r"ReadWriteOnce|ReadWriteMany",
    "storage.database_size": SIZE,
    "storage.artifacts_size": SIZE,
    "storage.metrics_size": SIZE,
    "storage.logs_size": SIZE,
    "mlflow.public_url": r"(https?://[^\s/]\S*)?",
    "mlflow.auth": bool,
    "mlflow.artifacts": r"persistentVolumeClaim|s3|gcs|azure",
    "mlflow.identity": bool,
    "mlflow.s3_destination": r"(s3://[^/\s]+\S*)?",
    "mlflow.s3_endpoint": r"(https?://\S+)?",
    "mlflow.s3_region": r"\S+",
    "mlflow.gcs_destination": r"(gs://[^/\s]+\S*)?",
    "mlflow.azure_destination": r"(wasbs://[^/@\s]+@[^/\s]+\S*)?",
    "training.require_approval": bool,
    "training.gpus": int,
    "secrets.generate": bool,
}
# What [platform] may leave to others: the Application's name to what leaves it out.
PARTS = {
    "argo-cd": "platform.argocd = false",
    "monitoring": "platform.monitoring = false",
    "postgresql": 'platform.postgresql = "external"',
    "cloudnativepg": "platform.cloudnativepg = false",
    "barman-cloud": "platform.database_backups = false",
}
# Object stores, and how MLflow names a place in one.
STORES = {
    "s3": "s3://bucket/prefix",
    "gcs": "gs://bucket/prefix",
    "azure": "wasbs://container@account.blob.core.windows.net/prefix",
}
BUCKET = re.compile(r"(s3://[^/]+)(/.+)?")
# Said in place of the form.
SSH = (
    "repository.url must be https:// or http://, without a user: Argo CD, git-sync and the DAG log in with name and "
    "token, and nothing here reads by ssh"
)


@dataclass(frozen=True)
class Settings:
    """The settings by dotted key, and those that follow from them.

    `values` has every key of settings.toml and the derived ones (`images.triton`, `hosts.airflow`, …); `environments`
    are all that the file names, with whether this cluster serves them.
    """

    values: Mapping[str, Value]
    environments: Mapping[str, bool]

    def text(self, key: str) -> str:
        """A setting as text, in YAML's spelling."""
        value = self.values[key]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def on(self, key: str) -> bool:
        """A setting that is true or false."""
        return self.values[key] is True

    @property
    def served(self) -> list[str]:
        """Environments that this cluster serves, in the file's order."""
        return [name for name, on in self.environments.items() if on]

    @property
    def context(self) -> str:
        """kubectl's context; empty: the current one."""
        kind = self.text("cluster.kind")
        return self.text("cluster.context") if kind == "current" else f"{kind}-{self.text('cluster.name')}"

    @property
    def left_out(self) -> list[str]:
        """Applications of the platform that [platform] leaves to others."""
        return _left_out(self.values)

    def placeholders(self) -> list[str]:
        """Keys that still have what the original repository has in them."""
        return [key for key in ("repository.url", "images.registry") if PLACEHOLDER in self.text(key)]


def load(path: Path = SETTINGS) -> Settings:
    """Read the file.

    Raises:
        SettingsError: it is missing, is no TOML, or a key is missing, unknown or has a value that it cannot have. All
            such keys are named at once.
    """
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise SettingsError(f"There is no {path}. `git checkout -- cluster/settings.toml` brings it back.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Correct that line.") from error
    environments = content.pop("environments", {})
    found = {f"{section}.{key}": value for section, keys in content.items() for key, value in _keys(section, keys)}
    problems = [*_problems(found), *_environment_problems(environments)]
    if problems:
        raise SettingsError(f"{path} cannot be used: {'; '.join(problems)}.")
    derived = {**_derived(found), **_platform(found), **_switches(environments)}
    return Settings({**found, **derived}, environments)


def _keys(section: str, keys: object) -> list[tuple[str, Value]]:
    if not isinstance(keys, dict):
        raise SettingsError(f"{section} stands outside of any section of cluster/settings.toml. Move it into its own.")
    return list(keys.items())


def _problems(found: Mapping[str, Value]) -> list[str]:
    problems = [f"{key} is missing" for key in FORMS if key not in found]
    problems += [f"{key} is not a setting" for key in found if key not in FORMS]
    for key, form in FORMS.items():
        value = found.get(key)
        if value is None:
            continue
        if isinstance(form, type):
            # bool is a kind of int.
            if type(value) is not form:
                kind = "true or false" if form is bool else "a whole number"
                problems.append(f"{key} must be {kind}, not {value!r}")
        elif not isinstance(value, str) or not re.fullmatch(form, value):
            problems.append(SSH if key == "repository.url" else f"{key} must look like {form}, not {value!r}")
    store = str(found.get("mlflow.artifacts"))
    if store in STORES and not found.get(f"mlflow.{store}_destination"):
        problems.append(f'mlflow.{store}_destination must be {STORES[store]}, because mlflow.artifacts is "{store}"')
    if _backs_up(found) and not (BUCKET.fullmatch(str(found["mlflow.s3_destination"])) or ["", "", ""])[2]:
        problems.append(
            "mlflow.s3_destination must have a prefix after the bucket, because MLflow's users can read all below it "
            "and the databases go beside it; or set platform.database_backups = false"
        )
    if found.get("cluster.size") == "small" and found.get("platform.postgresql") == "cloudnativepg":
        problems.append(
            'cluster.size = "small" leaves no room for CloudNativePG, its operator and a standby: set '
            'platform.postgresql = "statefulset" (a new server: a cluster that has data moves it as docs/operations.md '
            'says under "From one PostgreSQL to another"), or "external"'
        )
    gpus = found.get("training.gpus")
    if isinstance(gpus, int) and gpus < 0:
        problems.append("training.gpus must not be negative")
    return problems


def _environment_problems(environments: object) -> list[str]:
    if not isinstance(environments, dict) or not any(environments.values()):
        return ["[environments] must have at least one that is true"]
    return [
        f"environments.{name} must be a name such as staging, with true or false"
        for name, on in environments.items()
        if not re.fullmatch(NAME, name) or not isinstance(on, bool)
    ]


def _derived(found: Mapping[str, Value]) -> dict[str, Value]:
    registry, tag, domain = found["images.registry"], found["images.tag"], found["ingress.domain"]
    derived: dict[str, Value] = {
        f"images.{name}": f"{registry}/yolo-{name}" for name in ("trainer", "triton", "airflow")
    }
    derived["images.trainer_with_tag"] = f"{registry}/yolo-trainer:{tag}"
    derived |= {f"hosts.{name}": f"{name}.{domain}" for name in ("airflow", "grafana", "argocd")}
    derived["urls.airflow"] = f"https://airflow.{domain}" if found["ingress.enabled"] else "http://localhost:8080"
    derived["urls.mlflow"] = found["mlflow.public_url"] or "http://localhost:5000"
    derived["repository.credentials_secret"] = "git-credentials" if found["repository.private"] else ""
    # Model servers have monitors and rules where there is a Prometheus operator to read them.
    derived["monitoring.enabled"] = found.get("platform.monitoring", True)
    return derived | _sizes(str(found["cluster.size"]))


# Charts with a file of their own in charts/platform/small/; how their Applications name a file of this repository.
SIZED = {
    "airflow": "$values/",
    "argo-cd": "$values/",
    "kube-prometheus-stack": "$values/",
    "mlflow": "/",
    "postgresql": "/",
}


def _sizes(size: str) -> dict[str, Value]:
    folder = "" if size == "standard" else f"{size}/"
    found: dict[str, Value] = {
        f"size.{chart}": f"{root}charts/platform/{folder}{chart}.yaml" for chart, root in SIZED.items()
    }
    return found | {"size.server_cpu": "1" if size == "standard" else "500m"}


def _platform(found: Mapping[str, Value]) -> dict[str, Value]:
    """What the root leaves out, where Argo CD is (without an ingress, as cluster/places.py says), what pulls images."""
    without = ",".join(f"platform/{name}.yaml" for name in _left_out(found))
    argocd = f"https://argocd.{found['ingress.domain']}" if found["ingress.enabled"] else "http://localhost:8081"
    return {
        "platform.exclude": f"{{{without}}}" if "," in without else without,
        "urls.argocd": argocd,
        "urls.runbook": _page(found, "docs/monitoring.md"),
        "images.pull_secrets": json.dumps([found["images.pull_secret"]] if found["images.pull_secret"] else []),
        **_databases(found),
    }


def _page(found: Mapping[str, Value], path: str) -> str:
    """Where a browser reads a file of the fork: `repository.delivery` says which host it is, or else its name does."""
    url = str(found["repository.url"]).removesuffix(".git")
    kind, host = found["repository.delivery"], url.partition("://")[2].partition("/")[0]
    for name, folder in (("gitlab", "-/blob"), ("gitea", "src/branch")):
        if kind == name or (kind == "push" and name in host):
            return f"{url}/{folder}/{found['repository.branch']}/{path}"
    return f"{url}/blob/{found['repository.branch']}/{path}"


def _left_out(found: Mapping[str, Value]) -> list[str]:
    """Applications of the platform that the root leaves out, in the order of PARTS."""
    operated = found["platform.postgresql"] == "cloudnativepg"
    there = {
        "argo-cd": found["platform.argocd"],
        "monitoring": found["platform.monitoring"],
        "postgresql": found["platform.postgresql"] != "external",
        "cloudnativepg": operated and found["platform.cloudnativepg"],
        "barman-cloud": _backs_up(found),
    }
    return [name for name in PARTS if not there[name]]


def _backs_up(found: Mapping[str, Value]) -> bool:
    """Whether the databases go to the object store; `found` may lack keys."""
    wanted = found.get("platform.postgresql") == "cloudnativepg" and found.get("platform.database_backups") is True
    return wanted and found.get("mlflow.artifacts") == "s3" and bool(found.get("mlflow.s3_destination"))


def _databases(found: Mapping[str, Value]) -> dict[str, Value]:
    """Who runs PostgreSQL, and where its backups go: beside MLflow's artifacts, whose readers must not see them."""
    kind, backups = str(found["platform.postgresql"]), _backs_up(found)
    bucket = BUCKET.fullmatch(str(found["mlflow.s3_destination"])) if backups else None
    return {
        # The chart is not installed where PostgreSQL is external.
        "postgresql.type": "statefulset" if kind == "external" else kind,
        "backup.enabled": backups,
        "backup.destination": f"{bucket[1]}/postgresql" if bucket else "",
        "backup.secret": "" if found["mlflow.identity"] else "mlflow-server",
        "mlflow.gcs_secret": "mlflow-gcs"
        if found["mlflow.artifacts"] == "gcs" and not found["mlflow.identity"]
        else "",
    }


def _switches(environments: Mapping[str, bool]) -> dict[str, Value]:
    return {f"environments.{name}": on for name, on in environments.items()}
