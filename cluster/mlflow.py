"""MLflow's Secrets: its database, its artifact store, its administrator, and how its clients log in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from cluster import databases
from cluster.expected import PLATFORM, Data, Expected, Known, from_variables, new_password
from cluster.settings import Settings

S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MLFLOW = {"schema": "http", "host": "mlflow.platform.svc", "port": 5000}
MLFLOW_URL = "{schema}://{host}:{port}".format(**MLFLOW)
AUTH = (PLATFORM, "mlflow-auth")
AUTH_KEYS = ("MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")


def expected(settings: Settings) -> list[Expected]:
    """The server's Secrets, and those by which its clients find it and log in."""
    store, keys = settings.text("mlflow.artifacts"), () if settings.on("mlflow.identity") else _store_keys(settings)

    def server(known: Known, variables: Mapping[str, str]) -> Data | None:
        database = databases.uri(settings, known, "mlflow")
        more = from_variables({key: key for key in keys})(known, variables)
        return None if database is None or more is None else {"MLFLOW_BACKEND_STORE_URI": database, **more}

    found = [
        Expected(
            PLATFORM,
            "mlflow-server",
            ("MLFLOW_BACKEND_STORE_URI", *keys),
            "MLflow's database" + (" and its artifact store" if keys else ""),
            server,
            needs=f"run again with {' and '.join(keys)} set" if keys else "",
        )
    ]
    if store == "gcs" and not settings.on("mlflow.identity"):
        key = from_variables({"key.json": "GOOGLE_CREDENTIALS"})
        needs = "run again with GOOGLE_CREDENTIALS set to the text of a service account's key"
        found.append(Expected(PLATFORM, "mlflow-gcs", ("key.json",), "MLflow's artifact store", key, needs))
    auth = settings.on("mlflow.auth")
    if auth:
        found.append(Expected(PLATFORM, AUTH[1], AUTH_KEYS, "MLflow's administrator, also its clients'", _auth))
    found.append(Expected(PLATFORM, "airflow-mlflow", ("connection",), "Airflow's way to MLflow", _mlflow_connection))
    tracking = ("MLFLOW_TRACKING_URI", *(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD") if auth else ()))
    return found + [
        Expected(name, "mlflow", tracking, "where trainings and model servers find MLflow", _tracking)
        for name in ("lifecycle", *settings.served)
    ]


def _store_keys(settings: Settings) -> tuple[str, ...]:
    return {"s3": S3_KEYS, "azure": ("AZURE_STORAGE_ACCESS_KEY",)}.get(settings.text("mlflow.artifacts"), ())


def _auth(known: Known, variables: Mapping[str, str]) -> Data:
    return dict(zip(AUTH_KEYS, ("lifecycle", new_password(), secrets.token_urlsafe(48)), strict=True))


def _mlflow_connection(known: Known, variables: Mapping[str, str]) -> Data:
    account = known.get(AUTH, {})
    login = {"login": account[AUTH_KEYS[0]], "password": account[AUTH_KEYS[1]]} if account else {}
    return {"connection": json.dumps({"conn_type": "http", **MLFLOW, **login})}


def _tracking(known: Known, variables: Mapping[str, str]) -> Data:
    account = known.get(AUTH, {})
    login = {
        "MLFLOW_TRACKING_USERNAME": account.get(AUTH_KEYS[0], ""),
        "MLFLOW_TRACKING_PASSWORD": account.get(AUTH_KEYS[1], ""),
    }
    return {"MLFLOW_TRACKING_URI": MLFLOW_URL, **(login if account else {})}
