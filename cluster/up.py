"""Install Argo CD, hand it the root Application, and wait until everything that follows from it is healthy."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from cluster import airflow, argocd, check, local, secrets
from cluster.argocd import NAMESPACE
from cluster.errors import ClusterError
from cluster.findings import Finding
from cluster.kubectl import Kubectl
from cluster.repository import Repository
from cluster.settings import ROOT, Settings
from cluster.wait import Heads, Say, followed, wait

PLATFORM = ROOT / "argocd-apps" / "platform"
ROOT_APPLICATION = ROOT / "argocd-apps" / "platform.yaml"
PLATFORM_NAME = "platform"
ARGOCD_VALUES = ROOT / "charts" / "platform" / "argo-cd.yaml"


def up(
    settings: Settings, kubectl: Kubectl, say: Say, variables: Mapping[str, str] = os.environ, timeout: float = 1800
) -> None:
    """Bring the cluster up; what is there already is left as it is.

    Raises:
        ClusterError: the pre-flight found something (nothing was changed), a step failed, or not everything was
            healthy in `timeout` seconds; the message names what is not, and why.
    """
    _stop_on_failure(check.before_cluster(settings, variables), say)
    if local.missing(settings):
        say(f"making the {settings.text('cluster.kind')} cluster {settings.text('cluster.name')}")
        local.create(settings)
    _stop_on_failure(check.of_cluster(settings, kubectl, variables), say)
    if local.unpullable(settings) and local.absent(settings, kubectl.list("nodes")):
        local.images(settings, kubectl.context or kubectl.run("config", "current-context").strip(), say)
    for each in secrets.make(kubectl, secrets.look(kubectl, settings, variables)):
        say(f"made Secret {each.name} in namespace {each.namespace}")
    if settings.on("platform.argocd"):
        install_argocd(kubectl, say)
    # The file is right, whoever has edited the object since, by hand or in Argo CD's UI.
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=cluster-up")
    kubectl.run(*apply, "--filename", str(ROOT_APPLICATION))
    say(f"applied {ROOT_APPLICATION.relative_to(ROOT)}; Argo CD does the rest")
    repository, names = Repository(settings, variables), applications(settings)
    unstick(settings, kubectl, repository, names, say)
    wait(settings, kubectl, repository, names, say, timeout)
    if line := airflow.pools(settings, kubectl):
        say(line)


def unstick(settings: Settings, kubectl: Kubectl, repository: Repository, names: list[str], say: Say) -> None:
    """Start a new sync where Argo CD does not: one that waits for what Git has mended since, or one that was given up.

    Raises:
        ClusterError: a sync that runs does not end.
    """
    heads, found = Heads(repository), kubectl.list(argocd.APPLICATIONS, NAMESPACE)
    wanted = followed(settings, [PLATFORM_NAME, *names], repository.apps(), found).wanted
    for name, application in sorted(wanted.items()):
        targets = argocd.revisions(application, repository.url) or [repository.branch]
        now = {commit for target in targets for commit in heads.of(target)}
        if why := argocd.hangs(application, now, repository.url):
            say(f"{name:<22} {why}; starting a new one")
            argocd.sync(kubectl, name)


def _stop_on_failure(findings: Iterable[Finding], say: Say) -> None:
    failed = 0
    for finding in findings:
        if finding.kind != "ok":
            say(str(finding).strip())
        failed += finding.kind == "fail"
    if failed:
        raise ClusterError(
            f"The check found {failed} thing{'s' if failed > 1 else ''} to put right, above; nothing was changed. "
            "`make cluster-check` shows all of them again."
        )


def chart_of_argocd(path: Path = PLATFORM / "argo-cd.yaml") -> tuple[str, str]:
    """(repository, version) of Argo CD's chart, from the Application that looks after it."""
    found = re.search(r"repoURL: (\S+)\s+chart: argo-cd\s+targetRevision: (\S+)", path.read_text())
    if found is None:
        raise ClusterError(f"{path} names no chart argo-cd with its repository and version.")
    return found[1], found[2]


def install_argocd(kubectl: Kubectl, say: Say) -> None:
    """Install it by Helm if it is not there; from then on it looks after itself.

    Raises:
        ClusterError: Helm failed, or Argo CD does not start.
    """
    if kubectl.get("deployment", "argocd-server", NAMESPACE) is None:
        repository, version = chart_of_argocd()
        say(f"installing Argo CD, chart {version}")
        command = ["helm", "upgrade", "--install", "argocd", "argo-cd", "--repo", repository, "--version", version]
        command += ["--namespace", NAMESPACE, "--create-namespace", "--values", str(ARGOCD_VALUES), "--wait"]
        command += ["--timeout", "10m", *(["--kube-context", kubectl.context] if kubectl.context else [])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(
                f"Helm could not install Argo CD: {done.stderr.strip()} `kubectl -n argocd get pods` shows how far it "
                "came; run cluster-up again once the cause is mended."
            )
    else:
        say("Argo CD is there")
    for name in ("deployment/argocd-server", "deployment/argocd-repo-server"):
        kubectl.run("--namespace", NAMESPACE, "rollout", "status", name, "--timeout=300s", timeout=320)


def applications(settings: Settings, folder: Path = PLATFORM) -> list[str]:
    """Names of the Applications that the root brings, in the order of their waves."""
    found = []
    for path in [*folder.glob("*.yaml"), folder.parent / "root.yaml"]:
        text = path.read_text()
        name = re.search(r"^kind: Application\nmetadata:\n  name: (\S+)$", text, re.MULTILINE)
        wave = re.search(r"sync-wave: \"(-?\d+)\"", text)
        if name and wave and name[1] not in settings.left_out:
            found.append((int(wave[1]), name[1]))
    return [name for _, name in sorted(found)]
