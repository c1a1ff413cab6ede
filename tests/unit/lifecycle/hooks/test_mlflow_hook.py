"""From Airflow connections and settings to clients: addresses, credentials, and nothing left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifecycle import connections
from lifecycle.errors import RegistryError, RegistryUnavailable
from lifecycle.gitops import CredentialsInvalid
from lifecycle.registry.hook import MlflowHook, environment
from lifecycle.settings import settings
from pydantic import ValidationError

Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Set an Airflow connection and settings."""

    def set_(name: str, connection: dict[str, object], **chosen: str) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        for key, value in chosen.items():
            monkeypatch.setenv(f"LIFECYCLE_{key}", value)
        settings.cache_clear()

    yield set_
    settings.cache_clear()


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


def test_no_git_connection_means_no_credentials(connect: Connect) -> None:
    connect("unused", {"conn_type": "git"}, GITOPS_CONN_ID="")
    assert connections.gitops_credentials() is None


def test_token_comes_from_the_git_connection(connect: Connect) -> None:
    fields = {"conn_type": "git", "login": "bot", "password": "t0ken"}
    connect("release", fields, GITOPS_CONN_ID="release")
    found = connections.gitops_credentials()
    assert found is not None
    assert (found.username, found.token, found.ssh_key) == ("bot", "t0ken", None)
    assert "t0ken" not in repr(found)


def test_ssh_key_comes_from_the_git_connection_or_its_file(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from the file")
    for extra, key in (({"private_key": "inline"}, "inline"), ({"key_file": str(file)}, "from the file")):
        fields = {"conn_type": "git", "password": "passphrase", "extra": {**extra, "known_hosts": "host key"}}
        connect("release", fields, GITOPS_CONN_ID="release")
        found = connections.gitops_credentials()
        assert found is not None
        assert (found.ssh_key, found.known_hosts, found.token) == (key, "host key", None)


def test_ssh_key_without_known_hosts_is_refused(connect: Connect) -> None:
    connect("release", {"conn_type": "git", "extra": {"private_key": "k"}}, GITOPS_CONN_ID="release")
    with pytest.raises(CredentialsInvalid, match="known hosts"):
        connections.gitops_credentials()


def test_wrong_setting_is_named(connect: Connect) -> None:
    connect("unused", {"conn_type": "http"}, ROLLOUT_TIMEOUT="soon")
    with pytest.raises(ValidationError, match="rollout_timeout"):
        settings()
