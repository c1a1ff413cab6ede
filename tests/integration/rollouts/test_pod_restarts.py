"""A new pod runs what Git pins, code and weights, whatever was pushed since, and with MLflow and the git host down.

And one whose model's process died is started again.
"""

from __future__ import annotations

from typing import Any

import pytest
from yolo_client import Detector

from tests.integration.rollouts.running_site import Site
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("rollouts")

APP, MODEL = "detector", "digits"
CODE = "model_repository/yolo/1/model.py"


def test_a_pod_that_restarts_serves_from_its_cache_what_git_pins_and_says_so(site: Site) -> None:
    site.serve(APP, {MODEL: 1})
    pinned, (former,) = site.code(), site.pods(APP, MODEL)
    before = site.push(CODE, 'raise RuntimeError("this code was never released")\n')
    try:
        with site.outage():
            site.delete(former)
            site.wait_live(APP, MODEL, 1)
            (pod,) = site.pods(APP, MODEL)
            assert pod["metadata"]["name"] != former["metadata"]["name"]
            with Detector(f"http://{site.address(APP, MODEL)}:8000", MODEL) as detector:
                assert (detector.served().version, detector.served().code_commit) == (1, pinned)
            said = f"commit {pinned} of the code: from the cache, without the git host"
            assert said in site.log_of(pod, "git-sync")
            assert "from the cache, sha256" in site.log_of(pod, "triton")
    finally:
        site.push(CODE, before)


@pytest.mark.extended
def test_a_pod_whose_models_process_died_is_started_again_and_says_why(site: Site) -> None:
    app = "crashing"  # of its own: another test's may still be rolling
    site.serve(app, {MODEL: 1})
    (pod,) = site.pods(app, MODEL)
    site.kill_model_processes(pod)

    def triton() -> dict[str, Any]:
        (found,) = site.pods(app, MODEL)
        return next(each for each in found["status"]["containerStatuses"] if each["name"] == "triton")

    until("the server was started again", lambda: triton()["restartCount"] == 1, seconds=90)
    assert "digits: the process that infers has died" in triton()["lastState"]["terminated"]["message"]
    site.wait_live(app, MODEL, 1)
    with Detector(f"http://{site.address(app, MODEL)}:8000", MODEL) as detector:
        assert detector.served().version == 1
