"""From the MLflow connection to a client: address, credentials, and nothing left behind."""

from __future__ import annotations

import os

import pytest
from lifecycle.errors import RegistryError, RegistryUnavailable
from lifecycle.hooks.mlflow import MlflowHook, environment

from tests.support.airflow_connections import Connect


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "mlflow.example.com", "schema": "https"}, "https://mlflow.example.com"),
        ({"host": "https://example.com/mlflow/"}, "https://example.com/mlflow"),
        ({"host": "https://example.com/mlflow", "port": 8443}, "https://example.com:8443/mlflow"),
        ({"host": "example.com/mlflow", "port": 80, "login": "u", "password": "p"}, "http://example.com:80/mlflow"),
    ],
)
def test_tracking_uri_of_a_connection(connect: Connect, fields: dict[str, object], uri: str) -> None:
    connect("mlflow_default", {"conn_type": "http", **fields})
    assert MlflowHook().tracking_uri == uri


def test_connection_without_a_host_is_told(connect: Connect) -> None:
    connect("mlflow_default", {"conn_type": "http"})
    with pytest.raises(RegistryError, match="names no host"):
        MlflowHook().tracking_uri  # noqa: B018 — the property is what is tested


PAGE = "/#/experiments/3/runs/8c1f"


@pytest.mark.parametrize(
    ("host", "public", "url", "note"),
    [
        ("127.0.0.1", "", f"http://127.0.0.1:5000{PAGE}", ""),
        ("mlflow.example.com", "", f"http://mlflow.example.com:5000{PAGE}", ""),
        ("mlflow.platform.svc", "https://mlflow.example.com/", f"https://mlflow.example.com{PAGE}", ""),
        (
            "mlflow.platform.svc",
            "http://localhost:5000",
            f"http://localhost:5000{PAGE}",
            "while kubectl forwards MLflow to localhost:5000",
        ),
        *(
            (host, "", "", f"run 8c1f: no browser reaches {host}, and LIFECYCLE_MLFLOW_PUBLIC_URL is not set")
            for host in ("mlflow.platform.svc", "mlflow.platform.svc.cluster.local", "mlflow")
        ),
    ],
)
def test_page_of_a_run_is_where_a_browser_reaches_it_or_says_why_not(
    connect: Connect, host: str, public: str, url: str, note: str
) -> None:
    connect("mlflow_default", {"conn_type": "http", "host": host, "port": 5000}, MLFLOW_PUBLIC_URL=public)
    assert MlflowHook().run_page("3", "8c1f") == (url, note)


def test_credentials_are_in_the_environment_only_meanwhile(connect: Connect) -> None:
    connect("mlflow_default", {"conn_type": "http", "host": "127.0.0.1", "login": "ann", "password": "secret"})
    before = dict(os.environ)
    with MlflowHook(timeout=7, retries=0).session():
        assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("ann", "secret")
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        assert "MLFLOW_TRACKING_TOKEN" not in os.environ
    assert dict(os.environ) == before


def test_password_alone_is_a_token(connect: Connect) -> None:
    connect("mlflow_default", {"conn_type": "http", "host": "127.0.0.1", "password": "token"})
    with MlflowHook().session():
        assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token"
        assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_line_breaks_that_were_stored_with_a_secret_are_left_out(connect: Connect) -> None:
    host = {"conn_type": "http", "host": "http://mlflow:5000\n"}
    connect("mlflow_default", {**host, "password": "token\n"})
    assert MlflowHook().tracking_uri == "http://mlflow:5000"
    with MlflowHook().session():
        assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token"
    connect("mlflow_default", {**host, "login": "ann\r\n", "password": " secret \n"})
    with MlflowHook().session():
        assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("ann", " secret ")


def test_environment_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEFT", "old")
    with pytest.raises(ZeroDivisionError), environment({"LEFT": "new", "MADE": "x", "KEPT": None}):
        raise ZeroDivisionError
    assert os.environ["LEFT"] == "old"
    assert "MADE" not in os.environ and "KEPT" not in os.environ


def test_server_away_is_worth_a_retry_and_names_it(connect: Connect) -> None:
    connect("mlflow_default", {"conn_type": "http", "host": "127.0.0.1", "port": 1})
    hook = MlflowHook(timeout=2, retries=0)
    with pytest.raises(RegistryUnavailable, match=r"http://127\.0\.0\.1:1 does not answer"), hook.session() as client:
        client.search_experiments()
