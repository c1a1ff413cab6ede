"""A new folder for a model that is not made here: what `yolo_release_path` does up to the proof."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk import task

from lifecycle.errors import BadParameter
from lifecycle.hooks.gitops import repository
from lifecycle.model import names
from lifecycle.model.pin import Pin, PinDict
from lifecycle.model.results import ChosenFolder, DeliveredCommit, ServedFolder
from lifecycle.steps import handoff
from lifecycle.steps.folder_proof import prove_folder
from lifecycle.steps.served import check_served_here
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on
from lifecycle.tasks.promotion import refused

if TYPE_CHECKING:
    from lifecycle.model.results import FolderParams
    from lifecycle.model.target import Target

log = logging.getLogger(__name__)


@task(
    task_id=names.CHOOSE_FOLDER,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Reads which folder the entry names, and refuses what may not be released.",
)
def choose_folder() -> ChosenFolder:
    """The folder that a person asked for, or the one before the present."""
    target, params = context.target(), context.folder_params()
    chosen = choose(target, params)
    check_served_here(target, "Nothing was committed.")
    return chosen


def choose(target: Target, params: FolderParams) -> ChosenFolder:
    """Which folder the entry gets, by a new path or back to the former one.

    Raises:
        BadParameter: the entry is of a version and no folder, it names that path already, or it had no other one.
        PromotionRefused: it is on hold, which only a way back passes.
    """
    there, tip = repository().read(target.environment, target.app, target.model)
    if there.registered_model:
        raise BadParameter(
            f"{target.entry} serves versions of {there.registered_model}, which its pipeline releases; this DAG is for "
            "entries with a source. Nothing was committed."
        )
    path = params["path"].strip().rstrip("/")
    if path and path == there.pin.uri.rstrip("/"):
        raise BadParameter(
            f"{target.entry} names {path} already. A folder is never written twice: put what is new into another one, "
            "and name that. Nothing was committed."
        )
    if path and there.hold:
        raise refused(
            f"{target.entry} is on hold at {there.pin.uri}. Set hold to false in its values file to let it through."
        )
    wanted = replace(there.pin, uri=path or _former(target, there.pin))
    log.info("At %s, %s names %s", tip, target.entry, there.pin.words)
    return {"pin": wanted.xcom(), "uri": wanted.uri, "live": there.pin.xcom(), "back": not path}


def _former(target: Target, present: Pin) -> str:
    """What was live before: without those that a run itself took back."""
    history = repository().history(target.environment, target.app, target.model)
    failed = {revision.trailers.get(names.REVERTS_TRAILER) for revision in history}
    for revision in history:
        uri = revision.model.pin.uri
        if uri not in ("", present.uri) and revision.commit not in failed:
            return uri
    raise BadParameter(f"The history of {target.entry} names no folder before {present.uri}. Name the path to go to.")


@task(
    task_id=names.PROMOTE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes the folder's address into the entry: one commit.",
)
def commit_folder(chosen: ChosenFolder) -> DeliveredCommit:
    """Write the chosen folder into git.

    Raises:
        PromotionRefused: the entry was put on hold meanwhile.
    """
    params = context.folder_params()
    made = commit(context.target(), chosen, params, dag_run=context.dag_run_name())
    if made["outcome"] not in handoff.CONTINUES:
        raise refused(made["detail"])
    return made


def commit(target: Target, chosen: ChosenFolder, params: FolderParams, *, dag_run: str) -> DeliveredCommit:
    """One commit, once for each DAG run, that names the folder."""
    reason = " ".join(params["reason"].split())
    trailers = {names.DAG_RUN_TRAILER: dag_run}
    wanted = handoff.bump(
        target,
        "",
        Pin.from_xcom(chosen["pin"]),
        kind="rollback" if chosen["back"] else "promote",
        trailers={**trailers, names.REASON_TRAILER: reason} if reason else trailers,
        hold=True if params["hold"] else None,
    )
    return handoff.described(handoff.deliver(wanted))


@task(
    task_id=names.VERIFY_SERVING,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks Triton from which folder the model is served, and whether it is ready.",
)
def verify_folder(pin: PinDict) -> ServedFolder:
    """Prove that the folder is what is served; leave the reason for `restore` if it is not."""
    with handed_on(context.task_instance()):
        served = Pin.from_xcom(pin)
        address = prove_folder(context.target(), served)
    log.info("%s serves %s", address.url, served.uri)
    return {"uri": served.uri, "url": address.url, "grpc_url": address.grpc_url}
