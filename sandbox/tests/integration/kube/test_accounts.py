"""Airflow's accounts in the sandbox: the Roles of charts/foundation, and no right beside them."""

from __future__ import annotations

from pathlib import Path

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from sandbox.platform.cluster import KubernetesApi, bootstrap, make_accounts
from sandbox.platform.config import Config
from sandbox.tests.support.kube import Server


def test_each_part_of_airflow_has_the_rights_that_it_has_on_a_cluster(server: Server, tmp_path: Path) -> None:
    platform = Config(tmp_path, 0, 0)
    platform.kube.mkdir()
    platform.kubeconfig.write_text(server.kubeconfig.read_text())
    api = KubernetesApi(platform)
    bootstrap(api, "http://127.0.0.1:5000", ["staging"])
    make_accounts(platform, api, ["staging"])
    make_accounts(platform, api, ["staging"])  # as the next `up` does
    allowed = {
        "airflow-scheduler": {"lifecycle pods", "staging pods", "staging deployments", "argocd applications"},
        "airflow-triggerer": {"lifecycle pods", "staging pods", "staging deployments", "argocd applications"},
        "airflow-api-server": {"staging pods", "staging deployments"},
        "airflow-dag-processor": set(),
    }
    for account, expected in allowed.items():
        file = platform.account_kubeconfig(account)
        assert file.stat().st_mode & 0o777 == 0o600
        with config.new_client_from_config(str(file)) as connection:
            questions = {
                "lifecycle pods": lambda at=connection: client.CoreV1Api(at).list_namespaced_pod("lifecycle"),
                "lifecycle secrets": lambda at=connection: client.CoreV1Api(at).list_namespaced_secret("lifecycle"),
                "staging pods": lambda at=connection: client.CoreV1Api(at).list_namespaced_pod("staging"),
                "staging secrets": lambda at=connection: client.CoreV1Api(at).list_namespaced_secret("staging"),
                "staging deployments": lambda at=connection: client.AppsV1Api(at).list_namespaced_deployment("staging"),
                "argocd applications": lambda at=connection: client.CustomObjectsApi(at).list_namespaced_custom_object(
                    "argoproj.io", "v1alpha1", "argocd", "applications"
                ),
            }
            found = set()
            for name, ask in questions.items():
                try:
                    ask()
                    found.add(name)
                except ApiException as error:
                    assert error.status == 403, name
            assert found == expected, account
