"""Which published folders no environment pins any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.hooks.gitops import repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.publishing.store import Publication, Store


def unused(store: Store, keep: int) -> list[Publication]:
    """The folders that no entry of the branch pins, without the newest `keep` of each registered model.

    Those are kept for a way back, which copies from a folder rather than from MLflow. A folder that a release has begun
    and not finished is unused as well: run this while nothing is released.
    """
    models, _ = repository().inventory()
    pinned = {pin.uri.rstrip("/") for _, _, model in models for pin in (model.pin, model.candidate) if pin}
    every = store.publications()
    kept = {uri for name in {each.registered_model for each in every} for uri in _newest(every, name, keep)}
    return [each for each in every if each.uri not in pinned | kept]


def _newest(every: Iterable[Publication], registered_model: str, keep: int) -> list[str]:
    mine = [each for each in every if each.registered_model == registered_model and each.complete]
    mine.sort(key=lambda each: (each.version, int(each.uri.rpartition("-")[2])))
    return [each.uri for each in mine[len(mine) - min(keep, len(mine)) :]]
