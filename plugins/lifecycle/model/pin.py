"""The pin: one exact version of a registered model and the code that serves it, in every form that is written down.

In Git it is some scalars of a values file, in XCom a dictionary, in MLflow a version with tags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lifecycle.model.names import CODE_COMMIT, RUN_ID, SHA256


class PinDict(TypedDict):
    """A pin as XCom; `version` None: nothing is served, or a folder that is no version (`uri`)."""

    version: int | None
    sha256: str
    run_id: str
    code_commit: str
    uri: NotRequired[str]


class VersionDict(TypedDict):
    """A pin as XCom that names a version."""

    version: int
    sha256: str
    run_id: str
    code_commit: str
    uri: NotRequired[str]


@dataclass(frozen=True)
class Pin:
    """One exact version of a registered model, and the commit of the code that serves it.

    `version` is None where nothing is served yet; then `sha256` (of the ONNX file, 64 lower-case hex digits), `run_id`
    (of MLflow) and `code_commit` are empty. `code_commit` (40 or 64 lower-case hex digits) is the commit of
    `model_repository/` that was proved with the version; empty: not chosen yet, or written before pins had one.

    `uri` is the folder that is served, `s3://<bucket>/<key>`: the one that was published for the version, where KServe
    serves it; or that of a model that is not made here (a values entry with `source`), which has nothing else.
    """

    version: int | None
    sha256: str
    run_id: str
    code_commit: str = ""
    uri: str = ""

    @classmethod
    def from_tags(cls, version: int, tags: Mapping[str, str]) -> Pin:
        """From a version in MLflow; KeyError: it lacks a tag. Only a version that went live has a code commit."""
        return cls(version, tags[SHA256], tags[RUN_ID], tags.get(CODE_COMMIT, ""))

    def tags(self) -> dict[str, str]:
        """The tags of the version in MLflow."""
        return {SHA256: self.sha256, RUN_ID: self.run_id, CODE_COMMIT: self.code_commit}

    @classmethod
    def from_xcom(cls, value: PinDict | VersionDict) -> Pin:
        """From what a task returned."""
        return cls(value["version"], value["sha256"], value["run_id"], value["code_commit"], value.get("uri", ""))

    def xcom(self) -> PinDict:
        """As a task returns it."""
        told: PinDict = {
            "version": self.version,
            "sha256": self.sha256,
            "run_id": self.run_id,
            "code_commit": self.code_commit,
        }
        return {**told, "uri": self.uri} if self.uri else told

    def version_xcom(self) -> VersionDict:
        """As a task returns it that names a version."""
        told: VersionDict = {
            "version": self.number,
            "sha256": self.sha256,
            "run_id": self.run_id,
            "code_commit": self.code_commit,
        }
        return {**told, "uri": self.uri} if self.uri else told

    @classmethod
    def from_scalars(cls, version: int | None, scalars: Mapping[str, str]) -> Pin:
        """From the scalars of a values file."""
        return cls(
            version,
            scalars.get("sha256", ""),
            scalars.get("runId", ""),
            scalars.get("codeCommit", ""),
            scalars.get("storageUri", ""),
        )

    def scalars(self) -> dict[str, int | str | None]:
        """The scalars of a values file, by their keys."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "runId": self.run_id,
            "codeCommit": self.code_commit,
            "storageUri": self.uri,
        }

    @property
    def number(self) -> int:
        """The version, where there is one.

        Raises:
            ValueError: nothing is served.
        """
        if self.version is None:
            raise ValueError("the pin names no version")
        return self.version

    @property
    def label(self) -> str | None:
        """What the chart labels its pods with: the version, or what stands for the folder in a label; None: no pods."""
        if self.version is not None:
            return str(self.version)
        return f"folder-{hashlib.sha256(self.uri.rstrip('/').encode()).hexdigest()[:16]}" if self.uri else None

    @property
    def words(self) -> str:
        """For a sentence."""
        if self.version is None:
            return self.uri or "no version"
        return f"version {self.version}"

    @property
    def words_with_code(self) -> str:
        """For a sentence that tells of the code, too."""
        return f"{self.words} with the code of {self.code_commit[:12]}" if self.code_commit else self.words

    def told_from(self, other: Pin) -> str:
        """For a sentence that names another pin, too: with the code, where the version is the same."""
        return self.words_with_code if self.version == other.version else self.words
