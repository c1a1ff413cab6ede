"""Where things are and how to log in; passwords are told by commands, never printed."""

from __future__ import annotations

from cluster.settings import Settings

# What another than cluster-up may have installed, by its setting.
PARTS = {"platform.argocd": "Argo CD", "platform.monitoring": "Grafana"}


def places(settings: Settings, context: str) -> list[str]:
    """Lines for a person who has just brought the cluster up."""
    kubectl = f"kubectl --context {context}" if context else "kubectl"
    ingress, domain = settings.on("ingress.enabled"), settings.text("ingress.domain")
    absent = {PARTS[key] for key in PARTS if not settings.on(key)}
    without_password = absent if settings.on("mlflow.auth") else {*absent, "MLflow"}
    lines = []
    for title, service, namespace, ports, host in (
        ("Airflow", "airflow-api-server", "platform", "8080:8080", "airflow"),
        ("MLflow", "mlflow", "platform", "5000:5000", ""),
        ("Argo CD", "argocd-server", "argocd", "8081:80", "argocd"),
        ("Grafana", "kube-prometheus-stack-grafana", "monitoring", "3000:80", "grafana"),
    ):
        if title in absent:
            continue
        if ingress and host:
            lines.append(f"{title:<9} https://{host}.{domain}")
        else:
            local = ports.partition(":")[0]
            lines.append(
                f"{title:<9} http://localhost:{local} while this runs: "
                f"{kubectl} -n {namespace} port-forward service/{service} {ports}"
            )
    lines.append("Log in as admin, to MLflow as lifecycle; the passwords:")
    for title, namespace, secret, key in (
        ("Airflow", "platform", "airflow-admin", "password"),
        ("Argo CD", "argocd", "argocd-initial-admin-secret", "password"),
        ("Grafana", "monitoring", "grafana-admin", "admin-password"),
        ("MLflow", "platform", "mlflow-auth", "MLFLOW_AUTH_ADMIN_PASSWORD"),
    ):
        if title in without_password:
            continue
        lines.append(
            f"{title:<9} {kubectl} -n {namespace} get secret {secret} -o jsonpath='{{.data.{key}}}' | base64 -d"
        )
    return lines
