"""The words of the handoff: what is pinned, what shall be, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from lifecycle.model.pin import Pin
from lifecycle.model.results import Outcome
from lifecycle.model.target import Target

Kind = Literal["promote", "restore", "rollback", "candidate", "discard"]


@dataclass(frozen=True)
class PinnedModel:
    """One entry of a values file, as read.

    `registered_model` is empty for a model that is not made here: its pin is the folder's address alone. `published`:
    its versions are served from a folder in a bucket, which is made for each release.
    """

    name: str
    registered_model: str
    pin: Pin
    hold: bool
    candidate: Pin | None = None
    published: bool = False
    # The folder of model_repository/ that the model is made from; empty: the chart's default. No edit touches it.
    template: str = ""


@dataclass(frozen=True, kw_only=True)
class Bump:
    """One wanted change of one model in one values file.

    `promote` moves on: it stops for a newer version and for a hold. `restore` is the machine's way back: it acts only
    while the file still holds what the commit `reverts` wrote, and stops for a hold. `rollback` is a person's word: it
    may go anywhere, and stops for nothing. `hold` sets the entry's hold as well. Whichever makes a candidate live takes
    it away from beside the live pin in the same commit.

    `candidate` writes the pin beside the live one, and `discard` takes just that one away again: neither touches what
    is live. A candidate stops for a newer version and for a hold, and takes the place of an older run's candidate.

    `source`: the entry of the stage before, which the pin of a `promote` comes from. The commit is made only while that
    entry pins the same and is not on hold, in the very commit that the new one is put on.

    `newest_code`: the pin gets the newest commit that touched the model repository, as it is in the commit that the new
    one is put on; what `pin` says of it does not count. `code_beside`: the code of the live version when the pin was
    proved beside it as a candidate; other code there by now was released meanwhile, and the commit is not made.

    `trailers` are written into the commit; `Dag-Run` among them makes the delivery happen once per DAG run.
    """

    environment: str
    app: str
    model: str
    registered_model: str
    pin: Pin
    kind: Kind = "promote"
    trailers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reverts: str | None = None
    hold: bool | None = None
    source: Target | None = None
    newest_code: bool = False
    code_beside: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What became of a bump.

    `commit` is the commit that made the change (`pushed`, `requested`), or in which the file was found as described by
    `detail`. `former` is the pin before the change: the way back. `pin` is what was asked for, with its code commit.
    `diff` is unified, empty where nothing changed.
    """

    outcome: Outcome
    commit: str | None
    former: Pin
    diff: str
    detail: str
    pin: Pin
    request_url: str | None = None


@dataclass(frozen=True)
class Revision:
    """One pin that a values file held, and the commit that wrote it."""

    model: PinnedModel
    commit: str
    time: datetime
    subject: str
    trailers: Mapping[str, str]


@dataclass(frozen=True)
class RequestState:
    """Where a merge request stands. `merge_commit` is what to wait for once `state` is `merged`."""

    state: Literal["open", "merged", "closed"]
    url: str
    merge_commit: str | None
