"""What can go wrong between a decision and a commit that everybody sees.

Each error says whether running the same task again can help (`retryable`), so that a caller need not read messages.
"""

from pathlib import PurePosixPath

from lifecycle.errors import LifecycleError


class GitOpsError(LifecycleError):
    """Base of the errors of the handoff. `retryable`: the same call may succeed later without anybody's help."""

    retryable: bool = False


class FileRefused(GitOpsError):
    """The values file cannot be edited safely; `path` and `line` (from 1) say where."""

    def __init__(self, path: str | PurePosixPath, line: int, problem: str) -> None:
        self.path = str(path)
        self.line = line
        self.problem = problem
        super().__init__(f"{self.path}:{line}: {problem}")


class ModelMismatch(FileRefused):
    """The entry of that name serves another registered model."""


class BumpInvalid(GitOpsError):
    """The bump itself cannot be written: a wrong checksum, a name with a line break, a trailer that is not one."""


class CredentialsInvalid(GitOpsError):
    """The connection's credentials are incomplete, or are where they would be seen."""


class AuthenticationFailed(GitOpsError):
    """The remote does not accept the credentials, or is not the server that the known hosts describe."""


class RepositoryNotFound(GitOpsError):
    """There is no such repository, or these credentials may not see it."""


class BranchNotFound(GitOpsError):
    """The branch does not exist (any more)."""


class RevertedCommitNotFound(GitOpsError):
    """The commit that a restore names cannot be read from the remote."""


class PushRefused(GitOpsError):
    """The remote's rules decline the push: a hook, a protected branch, a missing permission."""


class RequestRefused(GitOpsError):
    """The hosting service declined to open or to show the merge request."""


class RemoteUnavailable(GitOpsError):
    """The remote is unreachable, slow or broken just now."""

    retryable = True


class DeliveryTimeout(GitOpsError):
    """The time limit passed while others kept winning, or the remote stayed unreachable. Nothing was changed."""

    retryable = True


class LocalFailure(GitOpsError):
    """This machine could not do its part: disk full, git missing or killed. Nothing was changed."""

    retryable = True
