"""Failures that become a Kubernetes ``Status`` object: what the Kubernetes clients read from an error answer."""

from __future__ import annotations

from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
}


class ApiError(Exception):
    """An answer other than success. ``details`` follows Kubernetes' StatusDetails.

    ``unheard``: nothing serves the path, or flow control refuses, so the answer is the message as plain text, and no
    Status.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str = "",
        details: dict[str, Any] | None = None,
        unheard: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or REASONS.get(code, "Unknown")
        self.details = details or {}
        self.unheard = unheard

    def status(self) -> dict[str, Any]:
        """The Status object for the answer's body."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if (details := {k: v for k, v in self.details.items() if v}) else {}),
            "code": self.code,
        }


def _resource(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def method_not_allowed() -> ApiError:
    """405: the path is known, and not for this."""
    return ApiError(405, "the server does not allow this method on the requested resource")


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404 in the words of a real API server."""
    return ApiError(
        404, f'{_resource(plural, group)} "{name}" not found', details={"name": name, "group": group, "kind": plural}
    )


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409 on create."""
    return ApiError(
        409,
        f'{_resource(plural, group)} "{name}" already exists',
        reason="AlreadyExists",
        details={"name": name, "group": group, "kind": plural},
    )


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """409 on update: somebody else wrote first, or another manager owns the field."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {_resource(plural, group)} "{name}": {why}',
        details={"name": name, "group": group, "kind": plural},
    )


# What a cause's reason is, by how its message begins.
CAUSES = {
    "Required value": "FieldValueRequired",
    "Unsupported value": "FieldValueNotSupported",
    "Duplicate value": "FieldValueDuplicate",
    "Not found": "FieldValueNotFound",
    "Forbidden": "FieldValueForbidden",
    "Too long": "FieldValueTooLong",
    "Invalid value": "FieldValueInvalid",
}


def _cause(text: str) -> str:
    return next((reason for start, reason in CAUSES.items() if text.startswith(start)), "FieldValueInvalid")


def invalid(kind: str, group: str, name: str, problems: list[tuple[str, str]]) -> ApiError:
    """422 for (field path, what is wrong with it) pairs."""
    texts = [f"{path}: {text}" for path, text in problems]
    body = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [{"reason": _cause(text), "message": text, "field": path} for path, text in problems]
    return ApiError(
        422,
        f'{kind} "{name}" is invalid: {body}',
        details={"name": name, "group": group, "kind": kind, "causes": causes},
    )
