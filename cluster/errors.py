"""What a person has to put right."""

from __future__ import annotations


class ClusterError(Exception):
    """Something that a person has to put right; the message says what, where and how."""


class SettingsError(ClusterError):
    """cluster/settings.toml cannot be used as it is."""


class KubectlError(ClusterError):
    """kubectl failed; `output` is what it wrote to stderr."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output
