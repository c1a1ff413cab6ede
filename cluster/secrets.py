"""Every Secret that the platform expects: where, with which keys, and how it is made. None is ever in Git.

What a person must know (a git token, S3 keys, the URL of a webhook) comes from them; what nobody must know beforehand
(passwords, signing keys) can be made here at random and is written to the cluster alone.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster import databases, mlflow
from cluster.expected import BASIC, PLATFORM, REGISTRY, TLS, Data, Expected, Known, Maker, from_variables, new_password
from cluster.kubectl import Kubectl, Object, decoded
from cluster.repository import reader
from cluster.settings import Settings

DATABASE = (PLATFORM, "postgresql")


def expected(settings: Settings) -> list[Expected]:
    """All that these settings need, in the order in which one is made from another."""
    found = [
        *_databases(settings),
        Expected(
            PLATFORM,
            "airflow-metadata",
            ("connection",),
            "Airflow's database",
            lambda known, variables: _named("connection", databases.uri(settings, known, "airflow")),
        ),
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
        *mlflow.expected(settings),
    ]
    if settings.on("platform.monitoring"):
        found += [GRAFANA, ALERTMANAGER]
    if settings.on("platform.argocd"):
        found.append(NOTIFICATIONS)
    if settings.on("repository.private"):
        found += _private_repository(settings)
    if settings.text("images.pull_secret"):
        found += [_registry(settings, namespace) for namespace in (PLATFORM, "lifecycle", *settings.served)]
    if settings.on("ingress.enabled"):
        absent = {"argo-cd": "argocd", "monitoring": "monitoring"}
        without = {absent.get(name) for name in settings.left_out}
        found += [_certificate(namespace, name) for namespace, name in CERTIFICATES if namespace not in without]
    return found


def _private_repository(settings: Settings) -> list[Expected]:
    """What reads the repository, and is given no more than that where there is a token that only reads."""
    fixed = {"type": "git", "url": settings.text("repository.url")}
    needs = (
        "run again with GIT_READ_USERNAME and GIT_READ_TOKEN set, a token that only reads (without them, GIT_USERNAME "
        "and GIT_TOKEN are taken)"
    )

    def login(known: Known, variables: Mapping[str, str]) -> Data | None:
        found = reader(variables)
        return None if found is None else {"username": found[0], "password": found[1]}

    def repository(known: Known, variables: Mapping[str, str]) -> Data | None:
        data = login(known, variables)
        return None if data is None else {**fixed, **data}

    argocd = Expected(
        "argocd",
        "repository",
        ("type", "url", "username", "password"),
        "Argo CD reads the repository",
        repository,
        needs,
        labels={"argocd.argoproj.io/secret-type": "repository"},
        fixed=fixed,
    )
    purpose = "model servers fetch model_repository/"
    return [argocd] + [
        Expected(name, "git-credentials", ("username", "password"), purpose, login, needs) for name in settings.served
    ]


def _registry(settings: Settings, namespace: str) -> Expected:
    """The Secret that pulls this project's images."""
    host = settings.text("images.registry").partition("/")[0]

    def make(known: Known, variables: Mapping[str, str]) -> Data | None:
        user, token = variables.get("IMAGES_USERNAME"), variables.get("IMAGES_TOKEN")
        if not user or not token:
            return None
        auth = base64.b64encode(f"{user}:{token}".encode()).decode()
        login = {"username": user, "password": token, "auth": auth}
        return {".dockerconfigjson": json.dumps({"auths": {host: login}})}

    return Expected(
        namespace,
        settings.text("images.pull_secret"),
        (".dockerconfigjson",),
        f"pulls images from {host}",
        make,
        "run again with IMAGES_USERNAME and IMAGES_TOKEN set",
        type=REGISTRY,
    )


CERTIFICATES = ((PLATFORM, "airflow-tls"), ("monitoring", "grafana-tls"), ("argocd", "argocd-server-tls"))


def _certificate(namespace: str, name: str) -> Expected:
    """A host's certificate; optional, since cert-manager may make it once the ingress is there."""
    purpose = "the ingress' certificate; without it, browsers warn"
    keys = ("tls.crt", "tls.key")
    return Expected(namespace, name, keys, purpose, lambda known, variables: None, optional=True, type=TLS)


def _passwords(known: Known, variables: Mapping[str, str]) -> Data:
    return {f"{role}-password": new_password() for role in ("postgres", "airflow", "mlflow")}


def _databases(settings: Settings) -> list[Expected]:
    """Passwords of PostgreSQL's roles, as those want them who run it; none where it is somebody else's."""
    kind, purpose = settings.text("platform.postgresql"), "PostgreSQL's roles"
    if kind == "statefulset":
        return [Expected(*DATABASE, ("postgres-password", "airflow-password", "mlflow-password"), purpose, _passwords)]
    if kind == "external":
        return []
    return [
        Expected(
            PLATFORM,
            f"postgresql-{role}",
            ("username", "password"),
            f"PostgreSQL's role {role}",
            _account(role),
            # The operator takes a changed password from it.
            labels={"cnpg.io/reload": "true"},
            fixed={"username": role},
            type=BASIC,
        )
        for role in databases.ROLES
    ]


def _account(name: str) -> Maker:
    return lambda known, variables: {"username": name, "password": new_password()}


def _named(key: str, value: str | None) -> Data | None:
    return None if value is None else {key: value}


def _fernet_key(known: Known, variables: Mapping[str, str]) -> Data:
    return {"fernet-key": base64.urlsafe_b64encode(os.urandom(32)).decode()}


def _key(name: str) -> Maker:
    return lambda known, variables: {name: secrets.token_urlsafe(48)}


def _admin(user: str, password: str) -> Maker:
    return lambda known, variables: {user: "admin", password: new_password()}


def _git_connection(known: Known, variables: Mapping[str, str]) -> Data | None:
    data = from_variables({"login": "GIT_USERNAME", "password": "GIT_TOKEN"})(known, variables)
    return None if data is None else {"connection": json.dumps({"conn_type": "git", **data})}


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


GRAFANA = Expected(
    "monitoring",
    "grafana-admin",
    ("admin-user", "admin-password"),
    "Grafana's administrator",
    _admin("admin-user", "admin-password"),
)
ALERTMANAGER = Expected(
    "monitoring",
    "alertmanager-config",
    ("alertmanager.yaml",),
    "whom Alertmanager tells; without it, alerts reach nobody",
    _alertmanager,
    needs="run again with ALERTS_WEBHOOK_URL set (a webhook of Slack or Mattermost), or write your own",
    optional=True,
)
NOTIFICATIONS = Expected(
    "argocd",
    "argocd-notifications-secret",
    ("webhook-url",),
    "where Argo CD reports failed syncs and degraded health; without it, nobody is told",
    from_variables({"webhook-url": "NOTIFICATIONS_WEBHOOK_URL"}),
    needs="run again with NOTIFICATIONS_WEBHOOK_URL set",
    optional=True,
    labels={"app.kubernetes.io/part-of": "argocd"},
)


@dataclass(frozen=True)
class State:
    """An expected Secret as the cluster has it, with the labels that it has."""

    expected: Expected
    data: Data | None
    made: Data | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def unlabelled(self) -> bool:
        """Whether it is there without a label by which it is found."""
        return self.data is not None and not self.expected.labels.items() <= self.labels.items()

    @property
    def wrong(self) -> list[str]:
        """Keys that say something else than the settings."""
        return [key for key, value in self.expected.fixed.items() if (self.data or {}).get(key, value) != value]

    @property
    def lacking(self) -> list[str]:
        """Keys that it lacks; all of them if there is no such Secret."""
        return [key for key in self.expected.keys if not (self.data or {}).get(key)]


def look(kubectl: Kubectl, settings: Settings, variables: Mapping[str, str]) -> list[State]:
    """Each expected Secret and, for those that are missing, what would be made for them (None: a person must)."""
    wanted = expected(settings)
    there: dict[tuple[str, str], Object] = {}
    for namespace in dict.fromkeys(each.namespace for each in wanted):
        for found in kubectl.secret_objects(namespace, *(e.name for e in wanted if e.namespace == namespace)):
            there[namespace, found["metadata"]["name"]] = found
    known: dict[tuple[str, str], Data] = {}
    states = []
    for each in wanted:
        found = there.get((each.namespace, each.name), {})
        data = decoded(found) if found else None
        # One that exists but lacks keys is somebody's: it is reported, and never overwritten.
        made = each.make(known, variables) if data is None and settings.on("secrets.generate") else None
        known[each.namespace, each.name] = data or made or {}
        states.append(State(each, data, made, (found.get("metadata") or {}).get("labels") or {}))
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
