"""What is live, asked from those who know: git what should be, Triton what is, MLflow what was proved and how good."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from lifecycle.errors import LifecycleError
from lifecycle.gitops import PinnedModel
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.kubernetes import endpoint
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow.runs import describe
from lifecycle.model import names
from lifecycle.model.target import Target

# A page must not hang on one server that is unreachable.
SECONDS = 3


def models() -> dict[str, Any]:
    """Every model of every environment, and the commit that they were read at.

    Raises:
        LifecycleError: git cannot be read. What Triton or MLflow cannot tell is said in the model's own row.
    """
    pinned, commit = repository().inventory()
    with ThreadPoolExecutor(max_workers=8) as pool:
        rows = list(pool.map(lambda entry: _row(*entry), pinned))
    return {"commit": commit, "models": rows}


def history(environment: str, app: str, model: str) -> list[dict[str, Any]]:
    """The versions that the entry has held, newest first, with the commit and the DAG run that wrote each."""
    return [
        {
            "version": revision.model.pin.version,
            "code_commit": revision.model.pin.code_commit,
            "source": "" if revision.model.registered_model else revision.model.pin.uri,
            "commit": revision.commit,
            "time": revision.time.isoformat(),
            "subject": revision.subject,
            "dag_run": revision.trailers.get(names.DAG_RUN_TRAILER, ""),
            "run_id": revision.model.pin.run_id,
        }
        for revision in repository().history(environment, app, model)
    ]


def picture(run_id: str) -> bytes:
    """The PNG with what the server said of pictures, which the proof left in the MLflow run.

    Raises:
        LifecycleError: MLflow does not have it, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="picture-") as folder, MlflowHook.from_settings().session() as client:
        return Path(client.download_artifacts(run_id, names.DETECTIONS_PICTURE, folder)).read_bytes()


def _row(environment: str, app: str, model: PinnedModel) -> dict[str, Any]:
    target = Target(environment, app, model.name)
    return {
        "environment": environment,
        "app": app,
        "model": model.name,
        "registered_model": model.registered_model,
        "version": model.pin.version,
        "code_commit": model.pin.code_commit,
        "run_id": model.pin.run_id,
        # The folder of a model that is not made here.
        "source": "" if model.registered_model else model.pin.uri,
        "hold": model.hold,
        "candidate": model.candidate.version if model.candidate else None,
        "application": target.application,
        "served": _served(target, model) if model.pin.label else {"version": None, "problem": ""},
        "registry": _registry(model) if model.pin.version else {},
    }


def _served(target: Target, model: PinnedModel) -> dict[str, Any]:
    """What answers, by the server's word: the version and the commit of its code (empty: not from Git), or a folder."""
    try:
        # Somebody waits for the page, and reloads it.
        url = endpoint(target, retries=0).url
        answer = requests.get(f"{url}/v2/models/{target.model}/config", timeout=SECONDS)
        answer.raise_for_status()
        parameters = answer.json().get("parameters") or {}
        if not model.registered_model:
            source = parameters.get(names.SOURCE_PARAMETER, {}).get("string_value", "")
            return {"version": None, "source": source, "code_commit": "", "problem": "", "url": url}
        version = int(parameters["mlflow_model_version"]["string_value"])
        code_commit = parameters.get("code_commit", {}).get("string_value", "")
    except (LifecycleError, requests.RequestException, KeyError, ValueError) as error:
        return {"version": None, "problem": f"{type(error).__name__}: {error}"[:500]}
    return {"version": version, "code_commit": code_commit, "problem": "", "url": url}


def _registry(model: PinnedModel) -> dict[str, Any]:
    """The champion, and how good the pinned version was on the held-out split."""
    try:
        hook = MlflowHook.from_settings()
        with hook.session() as client:
            champion = client.get_registered_model(model.registered_model).aliases.get(names.CHAMPION)
            run = client.get_run(model.pin.run_id)
    except LifecycleError as error:
        return {"problem": str(error)[:500]}
    facts = describe(run)
    page, note = hook.run_page(str(run.info.experiment_id), str(run.info.run_id))
    return {
        "champion": champion,
        "dataset_digest": facts.dataset_digest,
        "page": page,
        "page_note": note,
        "class_change": run.data.tags.get(names.CLASS_CHANGE, ""),
        "figures": facts.figures,
    }
