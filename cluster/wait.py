"""Follow the Applications until all are as Git says now, and say what keeps those that are not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster import argocd
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl, Object
from cluster.reasons import reason as objects_reason
from cluster.repository import Repository, RepositoryError
from cluster.settings import Settings

Say = Callable[[str], None]
WELL = "Synced, Healthy"
# Seconds between two looks at the remote, and between two requests to Argo CD to do so.
AGAIN = 15.0


class Heads:
    """What the target revisions of the Applications came to since the wait began: each counts, since a DAG may push."""

    def __init__(self, repository: Repository) -> None:
        self.url = repository.url
        self._repository = repository
        self._seen: dict[str, list[str]] = {}
        self._read: dict[str, float] = {}

    def of(self, revision: str, *, again: bool = False) -> list[str]:
        """The commits of a target revision, the newest last; with `again`, the remote is asked again, if not just now.

        Raises:
            RepositoryError: the remote cannot be read, nor could it be before.
        """
        seen = self._seen.setdefault(revision, [])
        if not seen or (again and time.monotonic() - self._read[revision] > AGAIN):
            self._read[revision] = time.monotonic()
            try:
                commit = self._repository.commit("" if revision == "HEAD" else revision)
            except RepositoryError:
                if not seen:
                    raise
            else:
                seen += [commit] if commit not in seen else []
        return seen

    def behind(self, application: Object) -> str:
        """Where Argo CD is behind Git, in words; empty: it is not."""
        for revision, at in argocd.revisions(application, self.url).items():
            if at not in self.of(revision) and at not in self.of(revision, again=True):
                return f"at {at[:12] or 'no commit'}, {revision} is at {self.of(revision)[-1][:12]}"
        return ""


@dataclass(frozen=True)
class Followed:
    """The Applications of this project: those to wait for, and those that neither Git nor the settings want."""

    wanted: dict[str, Object]
    left: dict[str, str]  # name to what cluster-remove calls it


def followed(settings: Settings, names: Iterable[str], apps: set[str], found: Iterable[Object]) -> Followed:
    """Sort what is in Argo CD's namespace; Applications of others are in neither part.

    Args:
        names: the Applications that the root brings.
        apps: `<environment>/<app>` for each folder in Git.
        found: all Applications.
    """
    wanted, left = {}, {}
    for application in found:
        name, app = application["metadata"]["name"], argocd.folder(application)
        if name in names or (app in apps and app.partition("/")[0] in settings.served):
            wanted[name] = application
        elif app:
            left[name] = app
        elif application["spec"].get("project") == argocd.PROJECT:
            left[name] = f"platform/{name}"
    return Followed(wanted, left)


def wait(
    settings: Settings,
    kubectl: Kubectl,
    repository: Repository,
    names: list[str],
    say: Say,
    timeout: float,
    interval: float = 5.0,
) -> None:
    """Have Argo CD read Git, and follow the Applications until all are synced to it and healthy.

    Raises:
        ClusterError: they were not in `timeout` seconds; it names each that is not and what Argo CD and its pods say.
    """
    deadline, heads, apps = time.monotonic() + timeout, Heads(repository), repository.apps()
    servers = [app.replace("/", "-") for app in sorted(apps) if app.partition("/")[0] in settings.served]
    shown: dict[str, str] = {}
    asked: dict[str, float] = {}
    evaluated = False
    while True:
        of = followed(settings, names, apps, kubectl.list(argocd.APPLICATIONS, argocd.NAMESPACE))
        states = {name: _state(of.wanted.get(name), heads) for name in [*names, *servers]}
        for name, state in states.items():
            if shown.get(name) != state:
                say(f"{name:<22} {state}")
        shown = states
        waiting = [name for name, state in states.items() if state != WELL]
        if not evaluated and not set(names) & set(waiting):
            # The ApplicationSet is as Git says; that it has read Git's folders since is another matter.
            argocd.evaluate(kubectl)
            evaluated = True
            continue
        if not waiting:
            for name, app in of.left.items():
                say(f"{name:<22} is left over; `make cluster-remove APP={app}` takes it away")
            return
        for name in waiting:
            if name in of.wanted and time.monotonic() - asked.get(name, -AGAIN) >= AGAIN:
                asked[name] = time.monotonic()
                argocd.refresh(kubectl, name)
        if time.monotonic() > deadline:
            reasons = "; ".join(f"{name}: {_reason(kubectl, of.wanted.get(name), states[name])}" for name in waiting)
            raise ClusterError(
                f"After {timeout / 60:.0f} minutes not everything is healthy. {reasons}. Nothing has to be undone: "
                "Argo CD continues, and cluster-up may be run again. docs/troubleshooting.md goes by symptom."
            )
        time.sleep(interval)


def _state(application: Object | None, heads: Heads) -> str:
    if application is None:
        return "waits for its wave"
    status = application.get("status") or {}
    sync, health = status.get("sync") or {}, status.get("health") or {}
    state = f"{sync.get('status', 'Unknown')}, {health.get('status', 'Unknown')}"
    behind = heads.behind(application) if state == WELL else ""
    return f"{state}, {behind}" if behind else state


def _reason(kubectl: Kubectl, application: Object | None, state: str) -> str:
    """What Argo CD and the objects of an Application that is not well say."""
    if application is None:
        return argocd.set_error(kubectl) or "not there, because a wave before it is not healthy"
    return objects_reason(kubectl, application) or state
