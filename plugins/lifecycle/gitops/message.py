"""The commit's message: a text that a team words as it likes, and trailers that it cannot change."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifecycle.gitops.errors import BumpInvalid
from lifecycle.gitops.models import Bump, PinnedModel
from lifecycle.gitops.settings import DEFAULT_MESSAGE, PROMOTION_MESSAGE, GitOpsSettings
from lifecycle.model import names
from lifecycle.model.pin import Pin

_VERBS = {
    "promote": "Promote",
    "restore": "Restore",
    "rollback": "Roll back to",
    "candidate": "Prove",
    "discard": "Discard the candidate",
}
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def version_words(registered_model: str, pin: Pin) -> str:
    """`<registered model>/<version>`, with `none` where nothing is served."""
    return f"{registered_model}/{'none' if pin.version is None else pin.version}"


def trailers_of(bump: Bump) -> dict[str, str]:
    """All trailers of the bump's commit. What the bump itself says goes before what its caller says about it."""
    found = {
        # A model that is not made here has no version.
        names.MODEL_VERSION_TRAILER: version_words(bump.registered_model, bump.pin) if bump.registered_model else "",
        names.MODEL_URI_TRAILER: bump.pin.uri,
        names.MLFLOW_RUN_TRAILER: bump.pin.run_id,
        names.CODE_COMMIT_TRAILER: bump.pin.code_commit,
        names.DATASET_DIGEST_TRAILER: bump.trailers.get(names.DATASET_DIGEST_TRAILER, ""),
        names.DAG_RUN_TRAILER: bump.trailers.get(names.DAG_RUN_TRAILER, ""),
        names.REVERTS_TRAILER: bump.reverts or "",
        names.PROMOTED_FROM_TRAILER: bump.source.entry if bump.source else "",
        names.DELIVERY_TRAILER: f"{bump.kind} {target_of(bump)}",
    }
    found = {key: value for key, value in found.items() if value} | {
        key: value for key, value in bump.trailers.items() if value and key not in found
    }
    for key, value in found.items():
        if not _TOKEN.fullmatch(key) or not value.isprintable() or value != value.strip():
            raise BumpInvalid(
                f"The trailer {key!r}: {value!r} cannot be written into a commit. Use one line of plain text."
            )
    return found


def target_of(bump: Bump) -> str:
    """Which entry of which file: `<environment>/<app>/<model>`."""
    return f"{bump.environment}/{bump.app}/{bump.model}"


def effect_of(bump: Bump, before: PinnedModel) -> str:
    """What the commit does to what was there, in a sentence or two."""
    live = "no live version" if before.pin.version is None else f"the live {before.pin.words}"
    if bump.kind == "discard":
        return f"{live[0].upper()}{live[1:]} is not touched."
    if bump.kind == "candidate":
        text = f"It is a candidate beside {live}: no client reaches it."
        other = before.candidate
        replaced = f" It replaces the candidate {other.words} of the MLflow run {other.run_id}." if other else ""
        return f"{text}{replaced}"
    if not bump.registered_model:
        return f"It replaces {before.pin.uri or 'nothing'}."
    if before.pin.version is not None and before.pin.version == bump.pin.version:
        former = before.pin.code_commit[:12] or "no commit in particular"
        return f"It keeps {before.pin.words} and replaces the code of {former}."
    return f"It replaces {'nothing' if before.pin.version is None else before.pin.words}."


def _what(bump: Bump) -> str:
    """The version that the commit names; of a model that is not made here, its folder."""
    if not bump.registered_model:
        return f"{bump.model} at {bump.pin.uri or '(no folder)'}"
    return f"{bump.registered_model} {'(no version)' if bump.pin.version is None else bump.pin.version}"


def message_of(bump: Bump, before: PinnedModel, settings: GitOpsSettings) -> str:
    """The whole commit message."""
    former = before.pin
    words = {
        "verb": _VERBS[bump.kind],
        "kind": bump.kind,
        "environment": bump.environment,
        "app": bump.app,
        "model": bump.model,
        "registered_model": bump.registered_model,
        "version": "none" if bump.pin.version is None else str(bump.pin.version),
        "what": _what(bump),
        "former": "nothing" if former == Pin(None, "", "") else former.words,
        "effect": effect_of(bump, before),
        "dag_run": bump.trailers.get(names.DAG_RUN_TRAILER, ""),
        "reverts": bump.reverts or "",
        "source": bump.source.environment if bump.source else "",
    }
    template = settings.message_template
    if bump.source and template == DEFAULT_MESSAGE:
        template = PROMOTION_MESSAGE
    try:
        text = template.format_map(words).strip()
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise BumpInvalid(
            f"The commit message template cannot be filled ({error!r}); it may use {', '.join(words)}."
        ) from error
    if not text:
        raise BumpInvalid("The commit message template gives an empty text.")
    lines = "\n".join(f"{key}: {value}" for key, value in trailers_of(bump).items())
    return f"{text}\n\n{lines}\n"


def parse_trailers(text: str) -> Mapping[str, str]:
    """Trailers as git prints them, one a line."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key: value.strip() for key, colon, value in pairs if colon and _TOKEN.fullmatch(key)}
