"""Puts the page into Airflow's navigation, and the listener into its API server and scheduler."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from lifecycle.listeners import dag_runs
from lifecycle.ui.app import app

PREFIX = "/lifecycle"


class LifecyclePlugin(AirflowPlugin):
    """Mounts the app in Airflow's API server and links it from the navigation."""

    name = "yolo_lifecycle"
    # Lists of the class, as Airflow's plugin interface wants them.
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "yolo_lifecycle"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Models", "href": f"{PREFIX}/", "destination": "nav", "category": "browse", "url_route": "models"}
    ]
    listeners = [dag_runs]  # noqa: RUF012
