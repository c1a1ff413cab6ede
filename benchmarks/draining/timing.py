"""How long the steps of a pod's end take, as the chart's values say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds.

    Attributes:
        drain: server.preStopSleepSeconds.
        exit_timeout: server.exitTimeoutSeconds; less than the default of 30, which a direct rollout waits for.
        margin: what Triton waits beyond the proxy's drain.
    """

    drain: int = 4
    exit_timeout: int = 10
    margin: int = 2
