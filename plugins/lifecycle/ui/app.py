"""The page and its data, for people who are logged in to Airflow.

It only reads. A roll-back is a run of `yolo_rollback`, which the page triggers by Airflow's own API with the person's
own rights, so that it is logged and permitted like any other run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, Response

from lifecycle.errors import LifecycleError
from lifecycle.ui import overview

PAGE = Path(__file__).with_name("page.html")
# As in the values files' schema; refused before anything is asked with it.
RunId = Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Query(pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$", max_length=63)]

app = FastAPI(title="Models", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/", response_class=HTMLResponse)
def page(user: GetUserDep) -> str:
    """The page."""
    return PAGE.read_text(encoding="utf-8")


@app.get("/models")
def models(user: GetUserDep) -> dict[str, Any]:
    """What git pins, what answers, and what is champion, for every model of every environment."""
    try:
        return overview.models()
    except LifecycleError as error:
        raise HTTPException(502, str(error)) from error


@app.get("/history")
def history(user: GetUserDep, environment: Name, app_name: Name, model: Name) -> list[dict[str, Any]]:
    """The versions that a model's entry has held, newest first."""
    try:
        return overview.history(environment, app_name, model)
    except LifecycleError as error:
        raise HTTPException(502, str(error)) from error


@app.get("/picture")
def picture(user: GetUserDep, run_id: RunId) -> Response:
    """The boxes that the server of a run's version found, for approvals: whoever approves may not reach MLflow."""
    try:
        return Response(overview.picture(run_id), media_type="image/png")
    except LifecycleError as error:
        raise HTTPException(502, str(error)) from error
