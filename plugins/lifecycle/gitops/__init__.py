"""The handoff to Argo CD: one commit that pins one exact model version, made once and never by damaging a line."""

from lifecycle.gitops.delivery import GitOps
from lifecycle.gitops.errors import (
    AuthenticationFailed,
    BranchNotFound,
    BumpInvalid,
    CredentialsInvalid,
    DeliveryTimeout,
    FileRefused,
    GitOpsError,
    LocalFailure,
    ModelMismatch,
    PushRefused,
    RemoteUnavailable,
    RepositoryNotFound,
    RequestRefused,
    RevertedCommitNotFound,
)
from lifecycle.gitops.models import Bump, Delivery, PinnedModel, RequestState, Revision
from lifecycle.gitops.remote.credentials import GitCredentials
from lifecycle.gitops.settings import GitOpsSettings

__all__ = [
    "AuthenticationFailed",
    "BranchNotFound",
    "Bump",
    "BumpInvalid",
    "CredentialsInvalid",
    "Delivery",
    "DeliveryTimeout",
    "FileRefused",
    "GitCredentials",
    "GitOps",
    "GitOpsError",
    "GitOpsSettings",
    "LocalFailure",
    "ModelMismatch",
    "PinnedModel",
    "PushRefused",
    "RemoteUnavailable",
    "RepositoryNotFound",
    "RequestRefused",
    "RequestState",
    "RevertedCommitNotFound",
    "Revision",
]
