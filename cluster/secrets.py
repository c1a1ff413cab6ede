"""Every Secret that the platform expects: where, with which keys, and how it is made. None is ever in Git.

What a person must know (a git token, S3 keys, the URL of a webhook) comes from them; what nobody must know beforehand
(passwords, signing keys) can be made here at random and is written to the cluster alone.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from cluster.kubectl import Kubectl, Object
from cluster.settings import Settings

PLATFORM = "platform"
DATABASE = (PLATFORM, "postgresql")
MLFLOW_URL = "http://mlflow.platform.svc:5000"

Data = dict[str, str]
# Secrets that exist or were just made, by (namespace, name).
Known = Mapping[tuple[str, str], Data]
Maker = Callable[[Known, Mapping[str, str]], Data | None]


@dataclass(frozen=True)
class Expected:
    """One Secret.

    `make` returns its content from the other Secrets and the environment variables, or None where these do not suffice;
    `needs` says in words what is then missing. `optional`: all runs without it, with the loss that `purpose` tells.
    """

    namespace: str
    name: str
    keys: tuple[str, ...]
    purpose: str
    make: Maker
    needs: str = ""
    optional: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The kubectl command by which a person makes it."""
        if self.keys == ("tls.crt", "tls.key"):
            return f"kubectl -n {self.namespace} create secret tls {self.name} --cert=… --key=…"
        literals = " ".join(f"--from-literal={key}=…" for key in self.keys)
        return f"kubectl -n {self.namespace} create secret generic {self.name} {literals}"

    def manifest(self, data: Data) -> Object:
        """The object."""
        metadata = {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels)}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": data}


def expected(settings: Settings) -> list[Expected]:
    """All that these settings need, in the order in which one is made from another."""
    found = [
        Expected(
            *DATABASE, ("postgres-password", "airflow-password", "mlflow-password"), "PostgreSQL's roles", _passwords
        ),
        Expected(PLATFORM, "airflow-metadata", ("connection",), "Airflow's database", _airflow_connection),
        Expected(PLATFORM, "airflow-fernet-key", ("fernet-key",), "encrypts Airflow's connections", _fernet_key),
        Expected(
            PLATFORM, "airflow-api-secret-key", ("api-secret-key",), "signs Airflow's sessions", _key("api-secret-key")
        ),
        Expected(
            PLATFORM, "airflow-jwt-secret", ("jwt-secret",), "signs the tokens of Airflow's tasks", _key("jwt-secret")
        ),
        Expected(
            PLATFORM,
            "airflow-admin",
            ("username", "password"),
            "Airflow's first administrator",
            _admin("username", "password"),
        ),
        Expected(
            PLATFORM,
            "airflow-git",
            ("connection",),
            "the git connection by which the DAG commits",
            _git_connection,
            needs="run again with GIT_USERNAME and GIT_TOKEN set, or make it as docs/operations.md says",
        ),
        _mlflow_server(settings),
        Expected(
            "monitoring",
            "grafana-admin",
            ("admin-user", "admin-password"),
            "Grafana's administrator",
            _admin("admin-user", "admin-password"),
        ),
        Expected(
            "argocd",
            "argocd-notifications-secret",
            ("webhook-url",),
            "where Argo CD reports failed syncs and degraded health; without it, nobody is told",
            _from_variables({"webhook-url": "NOTIFICATIONS_WEBHOOK_URL"}),
            needs="run again with NOTIFICATIONS_WEBHOOK_URL set",
            optional=True,
            labels={"app.kubernetes.io/part-of": "argocd"},
        ),
    ]
    if settings.on("monitoring.enabled"):
        found.append(
            Expected(
                "monitoring",
                "alertmanager-config",
                ("alertmanager.yaml",),
                "whom Alertmanager tells; without it, alerts reach nobody",
                _alertmanager,
                needs="run again with ALERTS_WEBHOOK_URL set (a webhook of Slack or Mattermost), or write your own",
                optional=True,
            )
        )
    for namespace in ("lifecycle", *settings.served):
        found.append(
            Expected(
                namespace,
                "mlflow",
                ("MLFLOW_TRACKING_URI",),
                "where trainings and model servers find MLflow",
                _tracking,
            )
        )
    if settings.on("repository.private"):
        found += _private_repository(settings)
    if settings.on("ingress.enabled"):
        found += [_certificate(namespace, name) for namespace, name in CERTIFICATES]
    return found


def _alertmanager(known: Known, variables: Mapping[str, str]) -> Data | None:
    """Alertmanager's configuration: every alert of the model servers, the platform and the cluster to one webhook."""
    url = variables.get("ALERTS_WEBHOOK_URL")
    if not url:
        return None
    summary = "{{ .Labels.alertname }}: {{ .Annotations.summary }}\n{{ .Annotations.runbook_url }}\n"
    text = f"{{{{ range .Alerts }}}}{summary}{{{{ end }}}}"
    slack = {"api_url": url, "send_resolved": True, "title": "{{ .Status }}", "text": text}
    content = {
        "route": {
            "receiver": "team",
            "group_by": ["alertname", "namespace"],
            # Fires always, to show that alerts arrive; it is for a service that misses it.
            "routes": [{"receiver": "nobody", "matchers": ['alertname="Watchdog"']}],
        },
        "receivers": [{"name": "team", "slack_configs": [slack]}, {"name": "nobody"}],
    }
    return {"alertmanager.yaml": json.dumps(content, indent=2)}


def _mlflow_server(settings: Settings) -> Expected:
    keys: tuple[str, ...] = ("MLFLOW_BACKEND_STORE_URI",)
    s3 = settings.text("mlflow.artifacts") == "s3"

    def make(known: Known, variables: Mapping[str, str]) -> Data | None:
        database = _database_uri(known, "mlflow")
        store = _from_variables({key: key for key in S3_KEYS})(known, variables) if s3 else {}
        return None if database is None or store is None else {"MLFLOW_BACKEND_STORE_URI": database, **store}

    return Expected(
        PLATFORM,
        "mlflow-server",
        keys + (S3_KEYS if s3 else ()),
        "MLflow's database" + (" and its artifact store" if s3 else ""),
        make,
        needs=f"run again with {' and '.join(S3_KEYS)} set" if s3 else "",
    )


S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def _private_repository(settings: Settings) -> list[Expected]:
    url, needs = settings.text("repository.url"), "run again with GIT_USERNAME and GIT_TOKEN set"
    variables = {"username": "GIT_USERNAME", "password": "GIT_TOKEN"}

    def repository(known: Known, environment: Mapping[str, str]) -> Data | None:
        data = _from_variables(variables)(known, environment)
        return None if data is None else {"type": "git", "url": url, **data}

    kind = {"argocd.argoproj.io/secret-type": "repository"}
    argocd = Expected(
        "argocd",
        "repository",
        ("url", "username", "password"),
        "Argo CD reads the repository",
        repository,
        needs,
        labels=kind,
    )
    return [argocd] + [
        Expected(
            name,
            "git-credentials",
            ("username", "password"),
            "model servers fetch model_repository/",
            _from_variables(variables),
            needs,
        )
        for name in settings.served
    ]


CERTIFICATES = ((PLATFORM, "airflow-tls"), ("monitoring", "grafana-tls"), ("argocd", "argocd-server-tls"))


def _certificate(namespace: str, name: str) -> Expected:
    """A host's certificate; optional, since cert-manager may make it once the ingress is there."""
    purpose = "the ingress' certificate; without it, browsers warn"
    return Expected(namespace, name, ("tls.crt", "tls.key"), purpose, lambda known, variables: None, optional=True)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _passwords(known: Known, variables: Mapping[str, str]) -> Data:
    return {f"{role}-password": _password() for role in ("postgres", "airflow", "mlflow")}


def _database_uri(known: Known, role: str) -> str | None:
    password = known.get(DATABASE, {}).get(f"{role}-password")
    return (
        None
        if password is None
        else f"postgresql://{role}:{quote(password, safe='')}@postgresql.platform.svc:5432/{role}"
    )


def _airflow_connection(known: Known, variables: Mapping[str, str]) -> Data | None:
    uri = _database_uri(known, "airflow")
    return None if uri is None else {"connection": uri}


def _fernet_key(known: Known, variables: Mapping[str, str]) -> Data:
    return {"fernet-key": base64.urlsafe_b64encode(os.urandom(32)).decode()}


def _key(name: str) -> Maker:
    return lambda known, variables: {name: secrets.token_urlsafe(48)}


def _admin(user: str, password: str) -> Maker:
    return lambda known, variables: {user: "admin", password: _password()}


def _tracking(known: Known, variables: Mapping[str, str]) -> Data:
    return {"MLFLOW_TRACKING_URI": MLFLOW_URL}


def _git_connection(known: Known, variables: Mapping[str, str]) -> Data | None:
    data = _from_variables({"login": "GIT_USERNAME", "password": "GIT_TOKEN"})(known, variables)
    return None if data is None else {"connection": json.dumps({"conn_type": "git", **data})}


def _from_variables(names: Mapping[str, str]) -> Maker:
    """Content from environment variables; all of them, or none of it."""

    def make(known: Known, variables: Mapping[str, str]) -> Data | None:
        found = {key: variables.get(name, "") for key, name in names.items()}
        return found if all(found.values()) else None

    return make


@dataclass(frozen=True)
class State:
    """An expected Secret as the cluster has it."""

    expected: Expected
    data: Data | None
    made: Data | None = None

    @property
    def lacking(self) -> list[str]:
        """Keys that it lacks; all of them if there is no such Secret."""
        return [key for key in self.expected.keys if not (self.data or {}).get(key)]


def look(kubectl: Kubectl, settings: Settings, variables: Mapping[str, str]) -> list[State]:
    """Each expected Secret and, for those that are missing, what would be made for them (None: a person must)."""
    wanted = expected(settings)
    there: dict[str, dict[str, Data]] = {}
    for namespace in dict.fromkeys(each.namespace for each in wanted):
        there[namespace] = kubectl.secrets(namespace, *(e.name for e in wanted if e.namespace == namespace))
    known: dict[tuple[str, str], Data] = {}
    states = []
    for each in wanted:
        data = there[each.namespace].get(each.name)
        # One that exists but lacks keys is somebody's: it is reported, and never overwritten.
        made = each.make(known, variables) if data is None and settings.on("secrets.generate") else None
        known[each.namespace, each.name] = data or made or {}
        states.append(State(each, data, made))
    return states


def make(kubectl: Kubectl, states: Iterable[State]) -> list[Expected]:
    """Create those that are missing and can be made; what was made. Nothing that exists is touched."""
    made = [(state.expected, state.made) for state in states if state.data is None and state.made is not None]
    for namespace in dict.fromkeys(each.namespace for each, _ in made):
        if kubectl.get("namespace", namespace) is None:
            kubectl.run("create", "namespace", namespace)
    for each, data in made:
        # create, not apply: if somebody made it in the meantime, theirs stays.
        kubectl.run("create", "--filename", "-", stdin=json.dumps(each.manifest(data)))
    return [each for each, _ in made]
