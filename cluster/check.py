"""The pre-flight: everything that `cluster-up` rests on, looked at without changing anything."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Generator, Iterator, Mapping

from cluster import capacity, configure, databases, existing, local, provider, secrets, serving, volumes
from cluster.errors import ClusterError, KubectlError
from cluster.findings import Finding, fail, note, ok
from cluster.kubectl import Kubectl, Object
from cluster.repository import Repository, RepositoryError, reader
from cluster.settings import Settings

# The charts' kubeVersion; a test compares them.
OLDEST = (1, 28)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# Argo CD hands on every right that it deploys, so it must be installed by somebody who has them all.
RIGHTS = (
    ("create", "namespaces"),
    ("create", "customresourcedefinitions.apiextensions.k8s.io"),
    ("create", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("create", "validatingwebhookconfigurations.admissionregistration.k8s.io"),
    ("create", "secrets"),
)


def before_cluster(settings: Settings, variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What needs no cluster: tools, settings, manifests, the repository."""
    yield from _tools(settings)
    yield from _files(settings)
    if not settings.placeholders() and shutil.which("git"):
        yield from _repository(settings, Repository(settings, variables))


def of_cluster(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What only the cluster tells. Stops at the first of version and reach, without which the rest says nothing."""
    reached = yield from _version(settings, kubectl)
    if not reached:
        return
    yield from _rights(kubectl)
    yield from _storage(settings, kubectl)
    nodes = kubectl.list("nodes")
    yield from _nodes(settings, kubectl, nodes)
    yield from existing.findings(settings, kubectl)
    yield from databases.findings(settings, kubectl)
    yield from provider.findings(settings, kubectl, nodes)
    yield from _secrets(settings, kubectl, variables)


def all_findings(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Everything. A local cluster that is yet to be made is only announced."""
    yield from before_cluster(settings, variables)
    if local.missing(settings):
        kind, name = settings.text("cluster.kind"), settings.text("cluster.name")
        yield note(f"the {kind} cluster {name} is not there yet; cluster-up makes it, then checks the rest")
        return
    yield from of_cluster(settings, kubectl, variables)


def _tools(settings: Settings) -> Iterator[Finding]:
    kind = settings.text("cluster.kind")
    for tool in ("kubectl", "helm", "git", *([] if kind == "current" else [kind])):
        where = shutil.which(tool)
        yield (
            ok(f"{tool} is {where}")
            if where
            else fail(f"{tool} is not installed. {TOOLS[tool]} has it; put it on PATH and run this again.")
        )


TOOLS = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "helm": "https://helm.sh/docs/intro/install/",
    "git": "https://git-scm.com/downloads",
    "k3d": "https://k3d.io/",
    "kind": "https://kind.sigs.k8s.io/",
}


def _files(settings: Settings) -> Iterator[Finding]:
    for key in settings.placeholders():
        yield fail(
            f"{key} in cluster/settings.toml is still the original's ({settings.text(key)}). Put your own there."
        )
    differ = configure.differences(settings)
    if differ:
        yield fail(
            f"{len(differ)} marked lines differ from cluster/settings.toml, the first is {differ[0]}. Run "
            "`make cluster-configure`, then commit and push."
        )
    else:
        yield ok("the manifests say what cluster/settings.toml says")
    yield from (fail(f"{problem}.") for problem in configure.environment_problems(settings))


def _repository(settings: Settings, repository: Repository) -> Iterator[Finding]:
    """Argo CD reads the remote branch: it must hold what lies here."""
    if repository.url.startswith("http://"):
        yield note("repository.url is http://: tokens are sent in the clear, which is for git hosts inside the cluster")
    try:
        there = repository.commit()
    except RepositoryError as error:
        yield fail(str(error))
        return
    head = repository.git("rev-parse", "HEAD").stdout.strip()
    changed = repository.git("status", "--porcelain", "--untracked-files=no", "argocd-apps", "charts").stdout.strip()
    where = f"{repository.branch} of {repository.url}"
    if changed:
        yield fail("argocd-apps/ or charts/ has changes that are not committed. Argo CD reads Git: commit and push.")
    elif head == there:
        yield ok(f"{where} is this commit")
    else:
        yield note(f"{where} is at {there[:12]} and this checkout at {head[:12]}; what is there is installed")


def _version(settings: Settings, kubectl: Kubectl) -> Generator[Finding, None, bool]:
    """Yields findings and returns whether the cluster answers and is new enough."""
    if shutil.which("kubectl") is None:
        return False
    try:
        server = json.loads(kubectl.run("version", "--output", "json")).get("serverVersion")
    except (ClusterError, ValueError) as error:
        server, reason = None, str(error)
    else:
        reason = "it told no version"
    if not server:
        where = f"context {kubectl.context}" if kubectl.context else "kubectl's current context"
        yield fail(f"The cluster of {where} does not answer: {reason} Check `kubectl config get-contexts`.")
        return False
    # Some providers write "28+".
    found = tuple(int(re.sub(r"\D.*", "", server[part])) for part in ("major", "minor"))
    if found < OLDEST:
        yield fail(
            f"The cluster is Kubernetes {server['gitVersion']}; {OLDEST[0]}.{OLDEST[1]} is the oldest that will do. "
            "Upgrade it first."
        )
        return False
    yield ok(f"Kubernetes {server['gitVersion']}")
    if found < databases.OLDEST and "cloudnativepg" not in settings.left_out:
        yield fail(
            f"CloudNativePG's chart wants Kubernetes {databases.OLDEST[0]}.{databases.OLDEST[1]} or later. Upgrade, or "
            'set platform.postgresql = "statefulset".'
        )
    if found < (1, 30):
        yield note(
            "before Kubernetes 1.30, nothing keeps Airflow from changing more of an Application than annotations"
        )
    return True


def _rights(kubectl: Kubectl) -> Iterator[Finding]:
    if kubectl.may("*", "*"):
        yield ok("your rights suffice")
        return
    lacking = [f"{verb} {resource}" for verb, resource in RIGHTS if not kubectl.may(verb, resource)]
    yield fail(
        f"You may not do everything in this cluster; of what is needed first, not: {', '.join(lacking) or 'nothing'}. "
        "Installing Argo CD takes cluster-admin: use such a context, or ask an administrator to run cluster-up."
    )


def _storage(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    classes = kubectl.list("storageclass")
    names = [item["metadata"]["name"] for item in classes]
    default = [each for each in classes if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"]
    if default:
        yield ok(f"the default StorageClass is {default[0]['metadata']['name']}")
        yield from volumes.access(settings, default[0])
    elif names:
        yield fail(
            f"No StorageClass is the default one. Make one of {', '.join(names)} it: kubectl annotate storageclass "
            f"{names[0]} {DEFAULT_CLASS}=true"
        )
    else:
        yield fail("The cluster has no StorageClass, so no volume can be made. Install one (k3s brings local-path).")
    yield from volumes.findings(settings, kubectl, classes)


def _nodes(settings: Settings, kubectl: Kubectl, nodes: list[Object]) -> Iterator[Finding]:
    wanted = int(settings.values["training.gpus"])
    most = max((int((node["status"].get("allocatable") or {}).get("nvidia.com/gpu", 0)) for node in nodes), default=0)
    if wanted > most:
        yield fail(
            f"training.gpus is {wanted}, but no node offers more than {most} nvidia.com/gpu. Install NVIDIA's device "
            "plugin (docs/install-managed-gpu.md), or set training.gpus to what there is."
        )
    elif wanted:
        yield ok(f"a node offers {most} nvidia.com/gpu")
    yield from _room(settings, kubectl, nodes)
    yield from serving.kserve(settings, kubectl)
    if len(nodes) > 1 and settings.text("storage.workspace_access") == "ReadWriteOnce":
        yield note(f"of the {len(nodes)} nodes, one holds the workspace (ReadWriteOnce): all trainings run there")
    if len(nodes) > 1 and settings.text("storage.cache_access") == "ReadWriteOnce":
        yield note(
            f"of the {len(nodes)} nodes, one holds the cache of an app in production (ReadWriteOnce): all of its model "
            "servers run there, and a drain takes them all. storage.cache_access = ReadWriteMany lets them spread; "
            'docs/operations.md, "When MLflow or the git host is down"'
        )


def _room(settings: Settings, kubectl: Kubectl, nodes: list[Object]) -> Iterator[Finding]:
    """What all files ask for, beside what the nodes give; the largest pod that fits nowhere would never start."""
    told = any("cpu" in (node["status"].get("allocatable") or {}) for node in nodes)
    if not told or shutil.which("helm") is None:
        return
    try:
        servers = list(serving.model_servers(settings, kubectl))
        too_large, too_much = capacity.problems(settings, nodes, kubectl.list("pods"), servers)
    except ClusterError as error:
        yield fail(str(error))
        return
    yield from (fail(problem) for problem in too_large)
    yield from (note(problem) for problem in too_much)
    if not too_large and not too_much:
        yield ok("the nodes have room for the platform, the model servers, a rollout and a training")


def _secrets(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str]) -> Iterator[Finding]:
    try:
        states = secrets.look(kubectl, settings, variables)
    except KubectlError as error:
        yield fail(f"Secrets cannot be read: {error}")
        return
    for state in states:
        each = state.expected
        name = f"Secret {each.name} in namespace {each.namespace} ({each.purpose})"
        if state.wrong:
            yield fail(
                f"{name} says another {' and '.join(state.wrong)} than cluster/settings.toml. Delete it and run this "
                f"again: kubectl -n {each.namespace} delete secret {each.name}"
            )
        elif not state.lacking and state.unlabelled:
            yield fail(f"{name} lacks the label by which it is found. Give it: {each.label_command}")
        elif not state.lacking:
            yield ok(name)
        elif state.data is not None:
            yield fail(
                f"{name} lacks {', '.join(state.lacking)}. Add what is missing: kubectl -n {each.namespace} edit "
                f"secret {each.name}"
            )
        elif state.made is not None:
            yield note(f"{name} is missing; cluster-up makes it")
        else:
            advice = f"{each.needs}; or: " if each.needs and settings.on("secrets.generate") else ""
            missing = note if each.optional else fail
            yield missing(f"{name} is missing. Make it: {advice}{each.command}")
    made = [state.expected.name for state in states if state.made is not None]
    if {"repository", "git-credentials"} & set(made) and reader(variables) == (
        variables.get("GIT_USERNAME"),
        variables.get("GIT_TOKEN"),
    ):
        yield note(
            "Argo CD and the model servers get the token that pushes; GIT_READ_USERNAME and GIT_READ_TOKEN give them "
            "one that only reads"
        )
