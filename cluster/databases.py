"""Where Airflow's and MLflow's databases are, by who runs PostgreSQL, and what leads to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from cluster.findings import Finding, fail, ok
from cluster.kubectl import Kubectl
from cluster.settings import Settings

ROLES = ("airflow", "mlflow")
NAMESPACE = "platform"
NAME = "postgresql"
# Secrets that lead to the databases, with the key that says where.
LEADING = {"airflow-metadata": "connection", "mlflow-server": "MLFLOW_BACKEND_STORE_URI"}
# kubeVersion of the chart cloudnative-pg 0.29.0.
OLDEST = (1, 29)
CERT_MANAGER = "certificates.cert-manager.io"
OPERATOR = "clusters.postgresql.cnpg.io"

Secrets = Mapping[tuple[str, str], Mapping[str, str]]


def host(settings: Settings) -> str:
    """The Service that leads to the server that writes."""
    service = f"{NAME}-rw" if settings.text("platform.postgresql") == "cloudnativepg" else NAME
    return f"{service}.{NAMESPACE}.svc"


def uri(settings: Settings, known: Secrets, role: str) -> str | None:
    """How `role` reaches its database; None where no Secret has its password."""
    operated = settings.text("platform.postgresql") == "cloudnativepg"
    secret, key = (f"{NAME}-{role}", "password") if operated else (NAME, f"{role}-password")
    password = known.get((NAMESPACE, secret), {}).get(key)
    return None if password is None else f"postgresql://{role}:{quote(password, safe='')}@{host(settings)}:5432/{role}"


def findings(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    """Whether what the settings want of PostgreSQL goes with what there is. Databases move by a person only."""
    kind = settings.text("platform.postgresql")
    other = {"cloudnativepg": f"@{NAME}.{NAMESPACE}.svc", "statefulset": f"@{NAME}-rw.{NAMESPACE}.svc"}.get(kind)
    for secret, key in LEADING.items():
        data = kubectl.secret(NAMESPACE, secret) or {}
        if other and other in data.get(key, ""):
            yield fail(
                f'Secret {secret} in namespace {NAMESPACE} leads to {other[1:]}, and platform.postgresql = "{kind}" '
                f'serves the databases at {host(settings)}. Move them as docs/operations.md says under "From one '
                'PostgreSQL to another", or set platform.postgresql back.'
            )
    if kind != "cloudnativepg":
        return
    if not settings.on("platform.cloudnativepg") and kubectl.get("customresourcedefinition", OPERATOR) is None:
        yield fail(
            "platform.cloudnativepg is false, and the cluster has no CloudNativePG. Set it to true, or install the "
            "operator first."
        )
    if settings.on("backup.enabled"):
        if kubectl.get("customresourcedefinition", CERT_MANAGER) is None:
            yield fail(
                "platform.database_backups needs cert-manager, which the cluster lacks: the plugin that writes to the "
                "object store gets its certificates from it. Install it (https://cert-manager.io/docs/installation/), "
                "or set platform.database_backups = false and rely on the dumps."
            )
        else:
            yield ok(f"the databases are backed up to {settings.text('backup.destination')}")
