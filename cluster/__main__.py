"""`python -m cluster check|configure|up|demo|remove|down`, as cluster/cluster.mk calls it."""

from __future__ import annotations

import argparse
import os
import sys

from cluster import check, configure, demo, down, local, places, remove, up
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.repository import Repository, remembered
from cluster.settings import Settings, load


def out(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """One line for the person who waits."""
    out(f"  {line}")


def _check(settings: Settings, kubectl: Kubectl) -> int:
    failed = 0
    for finding in check.all_findings(settings, kubectl, remembered(settings, kubectl, os.environ)):
        out(str(finding))
        failed += finding.kind == "fail"
    out(f"\n{failed} to put right before cluster-up." if failed else "\nReady for `make cluster-up`.")
    return 1 if failed else 0


def _configure(settings: Settings) -> int:
    changed = configure.write(settings)
    for line in changed:
        say(f"{line}: {line.wanted.strip()}")
    out(
        "Commit and push these: Argo CD reads Git."
        if changed
        else "Every marked line is as cluster/settings.toml says."
    )
    return 0


def _up(settings: Settings, kubectl: Kubectl) -> int:
    timeout = float(os.environ.get("CLUSTER_TIMEOUT") or 1800)
    up.up(settings, kubectl, say, remembered(settings, kubectl, os.environ), timeout)
    out("\nEverything is synced and healthy.")
    out("\n".join(places.places(settings, kubectl.context)))
    out("`make cluster-demo` trains and releases a first model.")
    return 0


def _demo(settings: Settings, kubectl: Kubectl) -> int:
    """0: the new version is live; 3: it was rejected; 1: the run failed."""
    ended = demo.demo(settings, kubectl, say)
    if ended.code:
        sys.stderr.write(f"\ncluster-demo: {ended.said}\n")
    return ended.code


def main() -> int:
    """Run one command; what a person can mend is one paragraph on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("command", choices=("check", "configure", "up", "demo", "images", "remove", "down"))
    command = parser.parse_args().command
    try:
        settings = load()
        kubectl = Kubectl(settings.context)
        if command == "check":
            return _check(settings, kubectl)
        if command == "configure":
            return _configure(settings)
        if command == "up":
            return _up(settings, kubectl)
        if command == "demo":
            return _demo(settings, kubectl)
        if command == "images":
            local.images(settings, kubectl.context or kubectl.run("config", "current-context").strip(), say)
            return 0
        confirmed = os.environ.get("CONFIRM", "")
        if command == "remove":
            repository = Repository(settings, remembered(settings, kubectl, os.environ))
            remove.remove(kubectl, repository, say, os.environ.get("APP", ""), confirmed)
        else:
            down.down(settings, kubectl, say, confirmed)
    except ClusterError as error:
        sys.stderr.write(f"cluster-{command}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"\ncluster-{command}: interrupted. It may be run again; what is done stays done.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
