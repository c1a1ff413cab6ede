"""One rollout under load: the old pod leaves the Service and ends, the new one takes over."""

import time
from dataclasses import dataclass

from benchmarks.draining.clients import Load
from benchmarks.draining.pods import Pod, Service

# The rules of every node follow a deleted pod after about this long: until then new connections still go to it.
LAG_SECONDS = 0.5
BEFORE_SECONDS = 1.0


@dataclass(frozen=True)
class Roll:
    """What clients saw of one rollout.

    Attributes:
        requests: sent from its begin to the end of the old pod.
        failed: of them.
        old_seconds: from the moment at which the pod was out of the Service to the last answer of the old version.
        end_seconds: from the same moment to the end of the old pod.
        codes: exit codes of the old pod's containers.
        failures: what the first failed requests said.
    """

    requests: int
    failed: int
    old_seconds: float
    end_seconds: float
    codes: dict[str, int]
    failures: list[str]


def roll(service: Service, old: Pod, new: Pod, protocol: str, body: bytes, clients: int, pause: float = 0.0) -> Roll:
    """Runs the clients while `old` is replaced by `new`, both of which are ready; `pause`: seconds after each answer.

    Raises:
        TimeoutError: a client had no answer before the rollout began.
    """
    service.to(protocol, old)
    load = Load(protocol, ("127.0.0.1", service.port), body, clients, pause)
    try:
        load.wait_all_answered()
        time.sleep(BEFORE_SECONDS)
        begun = time.monotonic()
        ending = old.delete()
        time.sleep(LAG_SECONDS)
        service.to(protocol, new)
        left = time.monotonic()
        ending.join()
        ended = time.monotonic()
        time.sleep(0.3)
    finally:
        load.stop()
    answers = [answer for seen in load.seen for answer in seen.answers if answer[1] >= begun]
    failures = sorted(failure for seen in load.seen for failure in seen.failures if failure[1] >= begun)
    return Roll(
        requests=len(answers) + len(failures),
        failed=len(failures),
        old_seconds=max([end - left for _, end, version in answers if version == old.version], default=0.0),
        end_seconds=ended - left,
        codes=old.codes,
        failures=[f"{end - left:+.2f} s: {text}" for _, end, text in failures[:3]],
    )
