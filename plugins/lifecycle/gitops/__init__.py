"""The handoff to Argo CD: one commit that pins one exact model version, made once and never by damaging a line."""

from .credentials import GitCredentials
from .delivery import GitOps
from .errors import (
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
from .models import Bump, Delivery, ModelPin, PinnedModel, RequestState, Revision
from .settings import GitOpsSettings

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
    "ModelPin",
    "PinnedModel",
    "PushRefused",
    "RemoteUnavailable",
    "RepositoryNotFound",
    "RequestRefused",
    "RequestState",
    "RevertedCommitNotFound",
    "Revision",
]
