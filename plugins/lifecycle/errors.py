"""The errors that a person may have to act on.

Each message is one paragraph: what happened, to what, and what to do next. `retryable` says whether the same call may
succeed later with nothing changed; Airflow's retries follow it (see `lifecycle.policy.retries`).
"""


class LifecycleError(Exception):
    """Base of every error that this package raises on purpose."""

    retryable: bool = False


class BadParameter(LifecycleError):
    """The DAG run's parameters do not fit together or name something that does not exist."""


class ConnectionMissing(LifecycleError):
    """A step was started without the environment variables that tell where a server is."""


class BadPipeline(LifecycleError):
    """A file in `dags/pipelines/` is wrong; Airflow shows the message as its import error."""


class DatasetUnreadable(LifecycleError):
    """A dataset that is watched is not there, may not be read, or its store does not answer."""

    retryable = True


class RegistryError(LifecycleError):
    """MLflow answered, and the answer is not what the run needs: a tag, a version or an artifact is missing."""


class RegistryUnavailable(LifecycleError):
    """MLflow did not answer, or answered with a server error."""

    retryable = True


class ClusterError(LifecycleError):
    """The Kubernetes API refused a call, or an object that must be there is not."""


class ObjectMissing(ClusterError):
    """The Kubernetes API has no such object."""


class ClusterUnavailable(LifecycleError):
    """The Kubernetes API did not answer, or answered with a server error."""

    retryable = True


class StatisticsUnavailable(LifecycleError):
    """Prometheus or a server did not tell how it does."""

    retryable = True


class SoakFailed(LifecycleError):
    """A version did not do well enough in a stage to go to the next."""


class PromotionRefused(LifecycleError):
    """What a stage holds may not go to the next; nothing was committed."""


class RolloutFailed(LifecycleError):
    """Argo CD or the serving pods say that the wanted revision does not work."""


class RolloutTimeout(LifecycleError):
    """The wanted revision was not synced and healthy within the time given."""


class CandidateRefused(LifecycleError):
    """A candidate failed its proof and was taken away, or could not be: the DAG run fails with both facts."""


class RolloutReverted(LifecycleError):
    """The rollout failed and was taken back, or could not be: the DAG run fails with both facts."""


class RunFailed(LifecycleError):
    """A task of the DAG run failed: what the run's last task raises, so that the run is failed as well."""
