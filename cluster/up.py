"""Install Argo CD, hand it the root Application, and wait until everything that follows from it is healthy."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cluster import check, local, reasons, secrets
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl, Object
from cluster.settings import ROOT, Settings

PLATFORM = ROOT / "argocd-apps" / "platform"
ROOT_APPLICATION = ROOT / "argocd-apps" / "platform.yaml"
ARGOCD_VALUES = ROOT / "charts" / "platform" / "argo-cd.yaml"
NAMESPACE = "argocd"
Say = Callable[[str], None]


def up(
    settings: Settings, kubectl: Kubectl, say: Say, variables: Mapping[str, str] = os.environ, timeout: float = 1800
) -> None:
    """Bring the cluster up; what is there already is left as it is.

    Raises:
        ClusterError: the pre-flight found something (nothing was changed), a step failed, or not everything was
            healthy in `timeout` seconds; the message names what is not, and why.
    """
    _stop_on_failure(check.before_cluster(settings), say)
    if local.missing(settings):
        say(f"making the {settings.text('cluster.kind')} cluster {settings.text('cluster.name')}")
        local.create(settings)
    _stop_on_failure(check.of_cluster(settings, kubectl, variables), say)
    for each in secrets.make(kubectl, secrets.look(kubectl, settings, variables)):
        say(f"made Secret {each.name} in namespace {each.namespace}")
    install_argocd(kubectl, say)
    kubectl.run("apply", "--server-side", "--field-manager=cluster-up", "--filename", str(ROOT_APPLICATION))
    say(f"applied {ROOT_APPLICATION.relative_to(ROOT)}; Argo CD does the rest")
    wait(kubectl, applications(), say, timeout)


def _stop_on_failure(findings: Iterable[check.Finding], say: Say) -> None:
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


def applications(folder: Path = PLATFORM) -> list[str]:
    """Names of the Applications that the root brings, in the order of their waves."""
    found = []
    for path in [*folder.glob("*.yaml"), folder.parent / "root.yaml"]:
        text = path.read_text()
        name = re.search(r"^kind: Application\nmetadata:\n  name: (\S+)$", text, re.MULTILINE)
        wave = re.search(r"sync-wave: \"(-?\d+)\"", text)
        if name and wave:
            found.append((int(wave[1]), name[1]))
    return [name for _, name in sorted(found)]


def wait(kubectl: Kubectl, names: list[str], say: Say, timeout: float, interval: float = 5.0) -> None:
    """Follow the Applications until all are synced and healthy.

    Raises:
        ClusterError: they were not in `timeout` seconds; it names each that is not and what Argo CD says of it.
    """
    deadline = time.monotonic() + timeout
    shown: dict[str, str] = {}
    while True:
        found = {item["metadata"]["name"]: item for item in kubectl.list("applications.argoproj.io", NAMESPACE)}
        for name in [*names, *sorted(set(found) - set(names) - {"platform"})]:
            state = _state(found.get(name))
            if shown.get(name) != state:
                shown[name] = state
                say(f"{name:<22} {state}")
        waiting = [name for name, state in shown.items() if state != "Synced, Healthy"]
        if not waiting:
            return
        if time.monotonic() > deadline:
            reasons = "; ".join(f"{name}: {_reason(kubectl, found.get(name))}" for name in waiting)
            raise ClusterError(
                f"After {timeout / 60:.0f} minutes not everything is healthy. {reasons}. Nothing has to be undone: "
                "Argo CD goes on trying, and cluster-up may be run again. docs/troubleshooting.md goes by symptom."
            )
        time.sleep(interval)


def _state(application: Object | None) -> str:
    if application is None:
        return "waits for its wave"
    status = application.get("status") or {}
    sync, health = status.get("sync") or {}, status.get("health") or {}
    return f"{sync.get('status', 'Unknown')}, {health.get('status', 'Unknown')}"


def _reason(kubectl: Kubectl, application: Object | None) -> str:
    """What Argo CD and the objects of an Application that is not well say."""
    if application is None:
        return "not there, because a wave before it is not healthy"
    return reasons.reason(kubectl, application) or _state(application)
