"""No answer fails while versions change, up and down, nor when one of two servers is killed between requests."""

from __future__ import annotations

import time
from itertools import pairwise

from tests.integration.rollouts.asking import Asking
from tests.integration.rollouts.running_site import Manifest, Site
from tests.support.processes import until

APP, MODEL = "detector", "digits"
# Up, up, down, down, and up over one: five changes.
PINS = (1, 2, 3, 2, 1, 3)
# Answers from one commit to the next, of all clients together.
ANSWERS = 1000
# What each client has to see of a version once its rollout is over.
SETTLED = 50


def test_no_answer_fails_in_five_version_changes(site: Site) -> None:
    site.serve(APP, {MODEL: PINS[0]})
    with Asking(site.address(APP, MODEL), MODEL) as asking:
        asking.wait(SETTLED)
        assert all(set(seen) == {PINS[0]} for seen in asking.since([0] * len(asking.clients)).values())
        for former, version in pairwise(PINS):
            started, marks = time.monotonic(), asking.marks()
            site.bump(APP, MODEL, version)
            site.wait_live(APP, MODEL, version)
            took, over = time.monotonic() - started, asking.marks()
            asking.wait(SETTLED, all_of_them=max(0, ANSWERS - (sum(over) - sum(marks))))
            during, after = asking.since(marks), asking.since(over)
            print(f"{former} to {version}: {took:.1f} s, {sum(map(len, during.values()))} answers")
            for client, seen in during.items():
                # While both pods are in the Service either may answer; a pod of any other version may not.
                assert seen[0] == former and set(seen) == {former, version}, client
            for client, seen in after.items():
                # The first may have been on its way when the rollout ended. From then on nobody goes back.
                assert set(seen[1:]) == {version}, client
    assert asking.failures == []
    assert asking.answers >= 5000
    print(f"{asking.answers} answers, {len(asking.failures)} failures")


def named(site: Site, name: str) -> Manifest:
    """The pod of that name."""
    (pod,) = [pod for pod in site.pods(APP, MODEL) if pod["metadata"]["name"] == name]
    return pod


def wait_ready_again(site: Site, name: str) -> None:
    """Waits until the server of a pod that was killed has started once more, and answers."""
    until(f"{name} has started again", lambda: site.container(named(site, name))["restartCount"] == 1, site.logs)
    until(f"{name} is ready again", lambda: site.describe(named(site, name))[1], site.logs)
    assert site.container(named(site, name))["lastState"]["terminated"]["exitCode"] == 137


def test_no_answer_fails_when_one_of_two_servers_is_killed_between_requests(site: Site) -> None:
    site.serve(APP, {MODEL: 1}, replicas=2)
    names = [pod["metadata"]["name"] for pod in site.pods(APP, MODEL)]

    with Asking(site.address(APP, MODEL), MODEL) as asking:
        asking.wait(SETTLED)
        for name in names:
            with asking.quiet():
                site.kill_server(named(site, name))
            asking.wait(SETTLED)
            wait_ready_again(site, name)
            asking.wait(SETTLED)
    assert asking.failures == []
    assert sorted(pod["metadata"]["name"] for pod in site.pods(APP, MODEL)) == sorted(names), "the pods are the same"
    assert {version for client in asking.clients for version in client.versions} == {1}
