"""What is live: addresses, and for every model in git the version named there and the version that answers."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import yaml

from . import cluster, gitremote, updown
from .config import Config, SandboxError, repository_branch


def show(config: Config) -> int:
    """Print addresses and the table of models; 1 if the platform is down."""
    found = updown.running(config)
    if found is None:
        print("The platform is down. `make up` starts it, `make demo` starts it and runs the pipeline once.")
        return 1
    for name, url in found["urls"].items():
        print(f"  {name:<12} {url}")
    print(f"  {'kubectl':<12} kubectl --kubeconfig {config.kubeconfig} get pods,deployments,services,applications -A\n")
    api = cluster.KubernetesApi(config)
    print(f"  {'model':<28} {'in git':<8} {'answers':<8} {'Argo CD':<24} address")
    for environment, app, model in _models(config):
        application = _application(api, f"{environment}-{app}")
        address = _address(api, environment, app, model["name"])
        answers = _served(address, model["name"]) if address else "-"
        name, version = f"{environment}/{app}/{model['name']}", model["version"] or "-"
        print(f"  {name:<28} {version:<8} {answers:<8} {application:<24} {address or '-'}")
    return 0


def _models(config: Config) -> list[tuple[str, str, dict[str, Any]]]:
    bare = config.bare_repository
    branch = repository_branch()
    names = gitremote.git("ls-tree", "-r", "--name-only", branch, "argocd-apps/", cwd=bare).splitlines()
    found = []
    for name in (name for name in names if name.endswith("/values.yaml")):
        content = yaml.safe_load(gitremote.git("show", f"{branch}:{name}", cwd=bare))
        _, environment, app, _ = name.split("/")
        found += [(environment, app, model) for model in content["models"]]
    return found


def _application(api: cluster.KubernetesApi, name: str) -> str:
    try:
        got = api.request("GET", f"apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}").get("status", {})
    except SandboxError:
        return "not there yet"
    return f"{got.get('sync', {}).get('status', '?')}, {got.get('health', {}).get('status', '?')}"


def _address(api: cluster.KubernetesApi, environment: str, app: str, model: str) -> str | None:
    selector = f"app.kubernetes.io/instance%3D{app}%2Capp.kubernetes.io/component%3D{model}"
    items = api.request("GET", f"api/v1/namespaces/{environment}/services?labelSelector={selector}")["items"]
    return f"http://{items[0]['spec']['clusterIP']}:8000" if items else None


def _served(address: str, model: str) -> str:
    try:
        with urllib.request.urlopen(f"{address}/v2/models/{model}/config", timeout=10) as answer:
            parameters = json.load(answer)["parameters"]
    except OSError:
        return "nothing"
    return str(parameters["mlflow_model_version"]["string_value"])
