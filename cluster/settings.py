"""cluster/settings.toml: read, checked against what each key may be, and completed by what follows from it."""

from __future__ import annotations

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
    "repository.url": r"(https://|ssh://|git@)[^\s@:]*[^\s]+",
    "repository.branch": r"[A-Za-z0-9_][A-Za-z0-9_./-]*",
    "repository.private": bool,
    "repository.delivery": r"push|github|gitlab|gitea",
    "images.registry": r"[a-z0-9][a-z0-9./:_-]*[a-z0-9]",
    "images.tag": r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "cluster.kind": r"current|k3d|kind",
    "cluster.size": r"standard|small",
    "cluster.name": NAME,
    "cluster.context": r"\S*",
    "ingress.enabled": bool,
    "ingress.class": NAME,
    "ingress.domain": r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
    "storage.workspace_size": SIZE,
    "storage.workspace_access": r"ReadWriteOnce|ReadWriteMany",
    "storage.database_size": SIZE,
    "storage.artifacts_size": SIZE,
    "storage.metrics_size": SIZE,
    "storage.logs_size": SIZE,
    "mlflow.artifacts": r"persistentVolumeClaim|s3",
    "mlflow.s3_destination": r"(s3://[^/\s]+\S*)?",
    "mlflow.s3_endpoint": r"(https?://\S+)?",
    "mlflow.s3_region": r"\S+",
    "training.require_approval": bool,
    "training.gpus": int,
    "secrets.generate": bool,
}


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
    return Settings({**found, **_derived(found), **_switches(environments)}, environments)


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
            problems.append(f"{key} must look like {form}, not {value!r}")
    if found.get("mlflow.artifacts") == "s3" and not found.get("mlflow.s3_destination"):
        problems.append('mlflow.s3_destination must be s3://bucket/prefix, because mlflow.artifacts is "s3"')
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


def _switches(environments: Mapping[str, bool]) -> dict[str, Value]:
    return {f"environments.{name}": on for name, on in environments.items()}
