"""What can go wrong, by what it means for an Application or an ApplicationSet."""

from __future__ import annotations


class ArgoError(Exception):
    """Base of all errors here; the message is for the person who reads a condition."""

    # The condition that an Application gets for it, in Argo CD's words.
    condition = "ComparisonError"


class UnsupportedError(ArgoError):
    """The manifest asks for something that real Argo CD may do, but this stand-in does not."""

    condition = "InvalidSpecError"


class InvalidSpecError(ArgoError):
    """The Application is wrong in itself: unknown project, destination or source that its project forbids."""

    condition = "InvalidSpecError"


class RenderError(ArgoError):
    """The source does not yield manifests: a template fails, a file is missing, YAML is broken."""


class GitError(ArgoError):
    """Git cannot be reached, or does not have the revision."""


class TemplateError(ArgoError):
    """A Go template of an ApplicationSet fails."""


class ApiError(ArgoError):
    """The API server refused a request, or is away (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def only(mapping: object, allowed: set[str], where: str) -> dict[str, object]:
    """The mapping itself, once it is sure that it holds nothing but ``allowed`` keys.

    Raises:
        UnsupportedError: it is no mapping, or has another key; nothing in a manifest is silently ignored.
    """
    if mapping is None:
        return {}
    if not isinstance(mapping, dict):
        raise UnsupportedError(f"{where} has to be a mapping, and is {type(mapping).__name__}.")
    extra = sorted(set(mapping) - allowed)
    if extra:
        raise UnsupportedError(
            f"{where}.{extra[0]} is not supported by the sandbox's stand-in for Argo CD"
            f" (it knows: {', '.join(sorted(allowed))}). Take it out, or use a real Argo CD."
        )
    return mapping
