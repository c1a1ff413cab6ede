"""What rolls versions out here: the sandbox's Kubernetes and Argo CD, a git remote and MLflow; everything but Airflow.

The remote is made from this checkout's last commit, as `make up` makes it: charts and model code run as committed.
"""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml
from lifecycle.gitops.delivery import GitOps
from lifecycle.gitops.models import Bump
from lifecycle.gitops.settings import GitOpsSettings
from lifecycle.model.pin import Pin

from sandbox.platform import cluster, gitremote, processes, servers
from sandbox.platform.config import REPOSITORY_ROOT, Config, SandboxError
from tests.support.forwarding import Forwarding
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import until
from tests.support.triton import build_triton

ENVIRONMENT = "staging"
MODELS = ("digits", "signs", "plates")
Manifest = dict[str, Any]


class Site:
    """A running site. `versions`: what is registered, by registered model and number."""

    def __init__(self, home: Path, mlflow: Mlflow) -> None:
        self.versions: dict[str, dict[int, Registered]] = {}
        self._config = Config(home.resolve(), 0, 0)
        self._mlflow = mlflow
        self._clone = home / "clone"
        self._pids: dict[str, int] = {}
        self._way_to_mlflow, self._ways = Forwarding(urlsplit(mlflow.uri).port or 80), ExitStack()

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Starts the servers and ends them, with every pod."""
        identity = uuid.uuid4().hex
        variables = servers.base_variables(self._config, identity)
        gitremote.prepare(self._config)
        self._clone.mkdir()
        self._git("clone", "--quiet", f"file://{self._config.bare_repository}", ".")
        self._build_image()
        try:
            self._start(servers.kube(self._config), variables)
            self._api = cluster.KubernetesApi(self._config)
            self._ways.enter_context(self._way_to_mlflow.opened())
            cluster.bootstrap(self._api, self._way_to_mlflow.uri, gitremote.environments(self._config))
            self._start(servers.argocd(self._config), variables)
            yield self
        finally:
            since = {pid: processes.started(pid) for pid in self._pids.values()}
            for name in ("argocd", "kube"):
                processes.stop([self._pids[name]] if name in self._pids else [])
            processes.stop(processes.of_sandbox(identity, since), grace=5.0)
            self._ways.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """MLflow and the git host are down while the block lasts."""
        host = self._config.bare_repository
        gone = host.with_name("gone")
        self._ways.close()
        host.rename(gone)
        try:
            yield
        finally:
            gone.rename(host)
            self._ways.enter_context(self._way_to_mlflow.opened())

    def register(self, model: str, file: Path, **tags: str) -> Registered:
        """Registers a file as the next version of `<model>-detector`."""
        made = self._mlflow.register(registered_name(model), file, **tags)
        self.versions.setdefault(made.name, {})[made.version] = made
        return made

    def serve(self, app: str, pins: Mapping[str, int], replicas: int = 1) -> None:
        """Writes an app's values file as a person does, and waits until exactly that is live."""
        entries = [self._entry(model, version) for model, version in pins.items()]
        self.write_values(app, {"models": entries, "replicas": replicas})
        for model, version in pins.items():
            self.wait_live(app, model, version, replicas)
        until(f"no other pods of {app}", lambda: {self.model_of(pod) for pod in self.pods(app)} == set(pins))

    def write_values(self, app: str, values: Manifest) -> None:
        """Writes an app's values file as a person does, and asks for a refresh of its Application."""
        path = self._clone / "argocd-apps" / ENVIRONMENT / app / "values.yaml"
        self._git("pull", "--quiet", "--rebase")
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", f"Edit {app}: {len(values['models'])} models")
        self._git("push", "--quiet", "origin", "HEAD:main")
        self._annotate("applicationsets/model-servers", "argocd.argoproj.io/application-set-refresh")
        until(f"an Application for {app}", lambda: f"{ENVIRONMENT}-{app}" in self._applications())
        self.refresh(app)

    def put_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Makes a Secret, which is never one of Git's."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(data)}
        self._api.request("POST", f"api/v1/namespaces/{ENVIRONMENT}/secrets", secret)

    @property
    def gitops(self) -> GitOps:
        """The way by which the lifecycle commits to the remote."""
        return GitOps(GitOpsSettings(url=f"file://{self._config.bare_repository}"))

    def message(self, commit: str) -> str:
        """What a commit says."""
        self._git("fetch", "--quiet", "origin")
        return self._git("show", "-s", "--format=%B", commit)

    def bump(self, app: str, model: str, version: int) -> str:
        """Pins a version in the way of the DAG's own promotion, and asks for a refresh; the commit."""
        made = self.versions[registered_name(model)][version]
        delivery = self.gitops.deliver(
            Bump(
                environment=ENVIRONMENT,
                app=app,
                model=model,
                registered_model=made.name,
                pin=Pin(made.version, made.sha256, made.run_id),
                kind="rollback",
                newest_code=True,
            )
        )
        assert delivery.outcome == "pushed" and delivery.commit, delivery
        self.refresh(app)
        return delivery.commit

    def push(self, path: str, text: str) -> str:
        """Commits and pushes a file as a person does; what was in it before."""
        self._git("pull", "--quiet", "--rebase")
        file = self._clone / path
        before = file.read_text(encoding="utf-8")
        file.write_text(text, encoding="utf-8")
        self._git("commit", "--quiet", "--all", "-m", f"Edit {path}")
        self._git("push", "--quiet", "origin", "HEAD:main")
        return before

    def code(self) -> str:
        """The newest commit that touched the code, in the branch as it was last pulled."""
        return self._git("log", "-1", "--first-parent", "--format=%H", "--", "model_repository")

    def refresh(self, app: str) -> None:
        """Asks Argo CD to look at git now, as the DAG does."""
        self._annotate(f"applications/{ENVIRONMENT}-{app}", "argocd.argoproj.io/refresh")

    def wait_live(self, app: str, model: str, version: int, replicas: int = 1) -> None:
        """Waits until this many pods of the version are ready and no other pod of the model is left."""
        until(
            f"version {version} of {app}/{model} with {replicas} pods, and nothing else",
            lambda: [self.describe(pod) for pod in self.pods(app, model)] == [(str(version), True, False)] * replicas,
            lambda: yaml.safe_dump([pod["status"] for pod in self.pods(app, model)]) + self.logs(),
        )

    def pods(self, app: str, model: str = "") -> list[Manifest]:
        """The pods of a model, or of a whole app, also those that are ending."""
        selector = f"app.kubernetes.io/instance%3D{app}"
        if model:
            selector += f"%2Capp.kubernetes.io/component%3D{model}"
        path = f"api/v1/namespaces/{ENVIRONMENT}/pods?labelSelector={selector}"
        found: list[Manifest] = self._api.request("GET", path)["items"]
        return found

    @staticmethod
    def model_of(pod: Manifest) -> str:
        """Which model a pod is for."""
        return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])

    @staticmethod
    def describe(pod: Manifest) -> tuple[str, bool, bool]:
        """(version, ready, ending) of a pod."""
        conditions = pod.get("status", {}).get("conditions", [])
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        meta = pod["metadata"]
        return meta["labels"]["yolo-lifecycle/model-version"], ready, "deletionTimestamp" in meta

    @staticmethod
    def container(pod: Manifest) -> Manifest:
        """The status of a pod's server container; a pod that was only just created tells nothing of it yet."""
        found: list[Manifest] = pod.get("status", {}).get("containerStatuses") or []
        return next((each for each in found if each["name"] == "triton"), {"restartCount": 0})

    def address(self, app: str, model: str) -> str:
        """The address of a model's Service."""
        found = self._api.request("GET", f"api/v1/namespaces/{ENVIRONMENT}/services/{app}-{model}")
        return str(found["spec"]["clusterIP"])

    def health(self, app: str) -> str:
        """What Argo CD says of an app."""
        found = self._api.request("GET", f"{APPLICATIONS}/applications/{ENVIRONMENT}-{app}")
        return str(found.get("status", {}).get("health", {}).get("status"))

    def delete(self, pod: Manifest) -> None:
        """Deletes a pod, as a drain does."""
        self._api.request("DELETE", f"api/v1/namespaces/{ENVIRONMENT}/pods/{pod['metadata']['name']}")

    def log_of(self, pod: Manifest, container: str) -> str:
        """What a container of a pod has said."""
        path = f"api/v1/namespaces/{ENVIRONMENT}/pods/{pod['metadata']['name']}/log?container={container}"
        with urllib.request.urlopen(f"{self._api.server}/{path}", timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def kill_server(self, pod: Manifest) -> None:
        """SIGKILL to a pod's server process, as the kernel does when memory runs out; returns when it is gone.

        Until then, for some milliseconds, its sockets take connections that nobody will answer.
        """
        server = self._server(pod)
        server.kill()
        server.wait(30)

    def kill_model_processes(self, pod: Manifest) -> None:
        """SIGKILL to the processes in which a pod's models run, as the kernel does; its server lives on."""
        for child in self._server(pod).children():
            if child.name().startswith("triton_python"):
                child.kill()

    def _server(self, pod: Manifest) -> psutil.Process:
        """A pod's tritonserver."""
        argument = f"--http-address={pod['status']['podIP']}"
        tree = psutil.Process(self._pids["kube"]).children(recursive=True)
        (server,) = [each for each in tree if is_server(each, argument)]
        return server

    def cut_off(self) -> list[str]:
        """The logs of servers that ended in Error because somebody still held a connection to them."""
        logs = (self._config.home / "kube" / "logs").glob("*/triton/*.log")
        texts = {str(log): log.read_text(errors="replace") for log in logs}
        # Triton waits in vain for a model's process that a test has killed.
        dead = "the process that infers has died"
        return [log for log, text in texts.items() if "Exit timeout expired" in text and dead not in text]

    def logs(self, lines: int = 30) -> str:
        """The end of each server's log, for messages."""
        files = sorted(self._config.logs.glob("*.log"))
        return "\n".join(
            f"== {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) for file in files
        )

    def _entry(self, model: str, version: int) -> Manifest:
        made = self.versions[registered_name(model)][version]
        pin = {"version": made.version, "sha256": made.sha256, "runId": made.run_id, "hold": False}
        pin["codeCommit"] = self.code()
        return {"name": model, "registeredModel": made.name, **pin}

    def _applications(self) -> set[str]:
        return {each["metadata"]["name"] for each in self._api.request("GET", f"{APPLICATIONS}/applications")["items"]}

    def _annotate(self, what: str, annotation: str) -> None:
        def done() -> bool:
            try:
                patch = {"metadata": {"annotations": {annotation: "normal"}}}
                self._api.request("PATCH", f"{APPLICATIONS}/{what}", patch, "application/merge-patch+json")
            except SandboxError:  # Argo CD has not made it yet
                return False
            return True

        until(f"{what} is there", done, self.logs)

    def _start(self, server: servers.Server, variables: Mapping[str, str]) -> None:
        log = self._config.logs / f"{server.name}.log"
        pid = processes.start(server.name, server.command, log, {**variables, **server.variables}, REPOSITORY_ROOT)
        self._pids[server.name] = pid
        processes.wait_until(server.name, server.ready, pid, log, server.seconds)

    def _build_image(self) -> None:
        build_triton(self._config.home / "images" / "triton")

    def _git(self, *arguments: str) -> str:
        variables = {"GIT_CONFIG_GLOBAL": str(self._config.gitconfig)}
        return gitremote.git(*arguments, cwd=self._clone, variables=variables)


APPLICATIONS = "apis/argoproj.io/v1alpha1/namespaces/argocd"


def registered_name(model: str) -> str:
    """The model's name in MLflow."""
    return f"{model}-detector"


def is_server(process: psutil.Process, argument: str) -> bool:
    """Whether a process is the tritonserver with this argument, and not the shell or shim around it."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return argument in command and process.name() == "tritonserver"
