"""Whether this cluster serves an environment: one of another cluster would be waited for in vain."""

from __future__ import annotations

from lifecycle.errors import BadParameter, ObjectMissing
from lifecycle.hooks.kubernetes import ClusterHook
from lifecycle.model.target import Target
from lifecycle.settings import settings


def check_served_here(target: Target, nothing: str) -> None:
    """Check that the target's Application is in this cluster.

    Args:
        target: the served model.
        nothing: what was not done yet, for the message.

    Raises:
        BadParameter: it is not.
    """
    namespace = settings().argocd_namespace
    try:
        ClusterHook.from_settings().application(namespace, target.application)
    except ObjectMissing as error:
        raise BadParameter(
            f"This cluster does not serve {target.environment}/{target.app}: it has no Application "
            f"{namespace}/{target.application}. Choose an environment that it serves, or make it serve this one "
            f"(environments.{target.environment} in cluster/settings.toml). Argo CD makes the Application of a new "
            f"entry some minutes after its commit. {nothing}"
        ) from error
