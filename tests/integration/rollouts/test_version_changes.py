"""No answer fails while versions change, up and down, nor when one of two servers is killed between requests."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.integration.rollouts.asking import Asking
from tests.integration.rollouts.running_site import Manifest, Site
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("rollouts")

APP, MODEL = "detector", "digits"
# What each client has to see of a version once its rollout is over.
SETTLED = 50


# Up and down; and up, up, down, down, and up over one.
SHORT, LONG = (1, 2, 1), (1, 2, 3, 2, 1, 3)


@pytest.mark.parametrize(
    ("pins", "answers"),
    [
        # End to end has clients, too, that ask while a version changes.
        pytest.param(SHORT, 200, marks=pytest.mark.extended, id="short"),
        pytest.param(LONG, 1000, marks=pytest.mark.soak, id="long"),
    ],
)
def test_no_answer_fails_while_versions_change(site: Site, pins: tuple[int, ...], answers: int) -> None:
    """`answers`: from one commit to the next, of all clients together."""
    site.serve(APP, {MODEL: pins[0]})
    with Asking(site.address(APP, MODEL), MODEL) as asking:
        asking.wait(SETTLED)
        assert all(set(seen) == {pins[0]} for seen in asking.since([0] * len(asking.clients)).values())
        for former, version in pairwise(pins):
            started, marks = time.monotonic(), asking.marks()
            site.bump(APP, MODEL, version)
            site.wait_live(APP, MODEL, version)
            took, over = time.monotonic() - started, asking.marks()
            asking.wait(SETTLED, all_of_them=max(0, answers - (sum(over) - sum(marks))))
            during, after = asking.since(marks), asking.since(over)
            print(f"{former} to {version}: {took:.1f} s, {sum(map(len, during.values()))} answers")
            for client, seen in during.items():
                # While both pods are in the Service either may answer; a pod of any other version may not.
                assert seen[0] == former and set(seen) == {former, version}, client
            for client, seen in after.items():
                # The first may have been on its way when the rollout ended. From then on nobody goes back.
                assert set(seen[1:]) == {version}, client
    assert asking.failures == []
    assert site.cut_off() == [], "the old pods let go of every client and end with 0"
    assert asking.answers >= answers * (len(pins) - 1)
    print(f"{asking.answers} answers, {len(asking.failures)} failures")


def named(site: Site, name: str) -> Manifest:
    """The pod of that name."""
    (pod,) = [pod for pod in site.pods(APP, MODEL) if pod["metadata"]["name"] == name]
    return pod


def wait_ready_again(site: Site, name: str) -> None:
    """Waits until the server of a pod that was killed has started again, and answers."""
    until(f"{name} has started again", lambda: site.container(named(site, name))["restartCount"] == 1, site.logs)
    until(f"{name} is ready again", lambda: site.describe(named(site, name))[1], site.logs)
    assert site.container(named(site, name))["lastState"]["terminated"]["exitCode"] == 137


@pytest.mark.extended
@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_no_answer_fails_when_one_of_two_servers_is_killed_between_requests(site: Site, kills: int) -> None:
    site.serve(APP, {MODEL: 1}, replicas=2)
    names = [pod["metadata"]["name"] for pod in site.pods(APP, MODEL)]

    # The proxy in the pod lives on: the next request on each kept connection finds that nobody is behind it, and is to
    # be repeated on another, as `yolo_client` does.
    with Asking(site.address(APP, MODEL), MODEL, repeats=True) as asking:
        asking.wait(SETTLED)
        for name in names[:kills]:
            with asking.quiet():
                site.kill_server(named(site, name))
                time.sleep(2)
            asking.wait(SETTLED)
            wait_ready_again(site, name)
            asking.wait(SETTLED)
    assert asking.failures == []
    assert sorted(pod["metadata"]["name"] for pod in site.pods(APP, MODEL)) == sorted(names), "the pods are the same"
    assert {version for client in asking.clients for version in client.versions} == {1}
