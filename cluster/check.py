"""The pre-flight: everything that `cluster-up` rests on, looked at without changing anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cluster import capacity, configure, local, secrets
from cluster.errors import ClusterError, KubectlError
from cluster.kubectl import Kubectl, Object
from cluster.settings import ROOT, Settings

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


@dataclass(frozen=True)
class Finding:
    """What was found: `ok`, `note` (it works, but know this) or `fail` (put it right before anything is installed)."""

    kind: Literal["ok", "note", "fail"]
    text: str

    def __str__(self) -> str:
        return f"  {self.kind:<5} {self.text}"


def ok(text: str) -> Finding:
    """Something that is as it should be."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Something to know."""
    return Finding("note", text)


def fail(text: str) -> Finding:
    """Something to put right first."""
    return Finding("fail", text)


def before_cluster(settings: Settings) -> Iterator[Finding]:
    """What needs no cluster: tools, settings, manifests, the repository."""
    yield from _tools(settings)
    yield from _files(settings)
    yield from _repository(settings)


def of_cluster(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What only the cluster tells. Stops at the first of version and reach, without which the rest says nothing."""
    reached = yield from _version(kubectl)
    if not reached:
        return
    yield from _rights(kubectl)
    yield from _storage(settings, kubectl)
    yield from _nodes(settings, kubectl)
    yield from _secrets(settings, kubectl, variables)


def all_findings(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Everything. A local cluster that is yet to be made is only announced."""
    yield from before_cluster(settings)
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


def _repository(settings: Settings) -> Iterator[Finding]:
    """Argo CD reads the remote branch: it must hold what lies here."""
    url, branch = settings.text("repository.url"), settings.text("repository.branch")
    if settings.placeholders() or shutil.which("git") is None:
        return
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )

    try:
        remote = git("ls-remote", url, f"refs/heads/{branch}")
    except subprocess.TimeoutExpired:
        yield fail(f"{url} did not answer within a minute. Is it reachable from here?")
        return
    if remote.returncode:
        reason = " ".join(remote.stderr.split())
        yield fail(f"{url} cannot be read from here: {reason} Log in to it with git, or correct repository.url.")
    elif not remote.stdout.strip():
        yield fail(f"{url} has no branch {branch}. Push it, or correct repository.branch.")
    else:
        head, there = git("rev-parse", "HEAD").stdout.strip(), remote.stdout.split()[0]
        changed = git("status", "--porcelain", "--untracked-files=no", "argocd-apps", "charts").stdout.strip()
        if changed:
            yield fail(
                "argocd-apps/ or charts/ has changes that are not committed. Argo CD reads Git: commit and push."
            )
        elif head == there:
            yield ok(f"{branch} of {url} is this commit")
        else:
            yield note(
                f"{branch} of {url} is at {there[:12]} and this checkout at {head[:12]}; what is there is installed"
            )


def _version(kubectl: Kubectl) -> Generator[Finding, None, bool]:
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
    default = [
        item["metadata"]["name"]
        for item in classes
        if (item["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    ]
    if default:
        yield ok(f"the default StorageClass is {default[0]}")
    elif names:
        yield fail(
            f"No StorageClass is the default one. Make one of {', '.join(names)} it: kubectl annotate storageclass "
            f"{names[0]} {DEFAULT_CLASS}=true"
        )
    else:
        yield fail("The cluster has no StorageClass, so no volume can be made. Install one (k3s brings local-path).")


def _nodes(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    nodes = kubectl.list("nodes")
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
    if len(nodes) > 1 and settings.text("storage.workspace_access") == "ReadWriteOnce":
        yield note(f"of the {len(nodes)} nodes, one holds the workspace (ReadWriteOnce): all trainings run there")


def _room(settings: Settings, kubectl: Kubectl, nodes: list[Object]) -> Iterator[Finding]:
    """What all files ask for, beside what the nodes give; the largest pod that fits nowhere would never start."""
    told = any("cpu" in (node["status"].get("allocatable") or {}) for node in nodes)
    if not told or shutil.which("helm") is None:
        return
    try:
        servers = list(capacity.model_servers(settings, kubectl))
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
        if not state.lacking:
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
