"""From push to the first answer of the new version, by stage, on the running sandbox.

    .venv/dev/bin/python -m benchmarks.serving.rollout [--rounds 2]

The platform must be up, with a version live (`make demo`). Each round rolls to another version and back, through the
same code as the DAG's own promotion: a commit in the sandbox's git remote, and a refresh of the Application. A stage is
over when what it names is first seen, by asking about every 50 ms. What was live before is live again at the end.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from benchmarks.pages import RESULTS, markdown_table, write_section
from benchmarks.serving.machine import this_machine
from benchmarks.serving.processes import BenchmarkError
from benchmarks.serving.triton import ROOT

sys.path.insert(0, str(ROOT / "plugins"))

from lifecycle.gitops.delivery import GitOps
from lifecycle.gitops.models import Bump, PinnedModel
from lifecycle.gitops.settings import GitOpsSettings
from lifecycle.model.pin import Pin

REPOSITORY_URL = "https://github.com/your-org/yolo-lifecycle.git"
STAGES = ("pushed", "synced", "pod created", "server started", "model loaded", "pod ready", "first answer")
EVERY = 0.05
LIMIT_SECONDS = 180


@dataclass(frozen=True)
class Target:
    """What is rolled: a model of an app of an environment."""

    environment: str = "staging"
    app: str = "detector"
    model: str = "digits"

    @property
    def service(self) -> str:
        """Name of its Service and Deployment."""
        return f"{self.app}-{self.model}"


class Cluster:
    """Reads of the Kubernetes API, and the one annotation that asks Argo CD to look again."""

    def __init__(self, kubeconfig: Path) -> None:
        found = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        self._server = found["clusters"][0]["cluster"]["server"]

    def get(self, path: str) -> Any:
        """An object or a list."""
        return self._call("GET", path, None, "application/json")

    def refresh(self, application: str) -> None:
        """Asks Argo CD to fetch git now, as the DAG does."""
        body = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        path = f"apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{application}"
        self._call("PATCH", path, body, "application/merge-patch+json")

    def _call(self, method: str, path: str, body: object, kind: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._server}/{path}", data, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class Watch:
    """Notes when each stage of one rollout is first seen."""

    def __init__(self, cluster: Cluster, target: Target, version: int, commit: str) -> None:
        self._cluster, self._target, self._version, self._commit = cluster, target, version, commit
        service = cluster.get(f"api/v1/namespaces/{target.environment}/services/{target.service}")
        self._service = f"http://{service['spec']['clusterIP']}:8000"
        self._checks: dict[str, Callable[[], bool]] = {
            "synced": self._synced,
            "pod created": lambda: self._pod() is not None,
            "server started": self._started,
            "model loaded": self._loaded,
            "pod ready": self._ready,
            "first answer": lambda: version_answering(self._service, self._target.model) == self._version,
        }

    def follow(self, pushed: float) -> dict[str, float]:
        """Seconds from `pushed` to each stage.

        Raises:
            BenchmarkError: a stage does not come within the limit.
        """
        seen: dict[str, float] = {}
        while time.monotonic() < pushed + LIMIT_SECONDS:
            for stage in [stage for stage in self._checks if stage not in seen]:
                if not self._holds(stage):
                    break  # later ones cannot have come
                seen[stage] = time.monotonic() - pushed
            if len(seen) == len(self._checks):
                return seen
            time.sleep(EVERY)
        missing = [stage for stage in self._checks if stage not in seen]
        raise BenchmarkError(
            f"version {self._version} of {self._target.model!r} did not reach {missing[0]!r} within {LIMIT_SECONDS} s "
            f"of commit {self._commit[:12]}: see the Application and the pod's log with kubectl"
        )

    def _holds(self, stage: str) -> bool:
        try:
            return self._checks[stage]()
        except (urllib.error.URLError, OSError):  # not there yet, or between two pods
            return False

    def _synced(self) -> bool:
        name = f"{self._target.environment}-{self._target.app}"
        found = self._cluster.get(f"apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}")
        sync = found.get("status", {}).get("sync", {})
        return bool(sync.get("revision") == self._commit and sync.get("status") == "Synced")

    def _pod(self) -> dict[str, Any] | None:
        selector = (
            f"app.kubernetes.io/instance%3D{self._target.app}%2Capp.kubernetes.io/component%3D{self._target.model}"
            f"%2Cyolo-lifecycle/model-version%3D{self._version}"
        )
        pods = self._cluster.get(f"api/v1/namespaces/{self._target.environment}/pods?labelSelector={selector}")["items"]
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return max(living, key=lambda pod: pod["metadata"]["creationTimestamp"]) if living else None

    def _started(self) -> bool:
        pod = self._pod()
        states = pod["status"].get("containerStatuses", []) if pod else []
        return any("running" in state.get("state", {}) for state in states)

    def _loaded(self) -> bool:
        pod = self._pod()
        address = pod["status"].get("podIP") if pod else None
        if not address:
            return False
        with urllib.request.urlopen(f"http://{address}:8000/v2/models/{self._target.model}/ready", timeout=2):
            return True

    def _ready(self) -> bool:
        pod = self._pod()
        conditions = pod["status"].get("conditions", []) if pod else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def version_answering(url: str, model: str) -> int:
    """Which version an inference through `url` comes from."""
    pixels = np.zeros((1, 3, 32, 32), np.float32)
    entry = {"name": "images", "datatype": "FP32", "shape": list(pixels.shape), "data": pixels.ravel().tolist()}
    names = ("detections", "num_detections", "model_info")
    body = {"inputs": [entry], "outputs": [{"name": name} for name in names]}
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/infer", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        outputs = {each["name"]: each for each in json.load(answer)["outputs"]}
    return int(json.loads(bytes(outputs["model_info"]["data"]))["version"])


def other_version(mlflow: str, pinned: PinnedModel) -> Pin:
    """Another registered version to roll to; where there is only one, a copy of it is registered for this."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    name = pinned.registered_model
    versions = client.search_model_versions(f"name = '{name}'")
    others = [each for each in versions if int(each.version) != pinned.pin.version and each.tags.get("sha256")]
    if others:
        chosen = max(others, key=lambda each: int(each.version))
    else:
        live = client.get_model_version(name, str(pinned.pin.version))
        tags = dict(live.tags) | {"benchmark": "a copy, to measure a rollout"}
        source = str(live.source)
        # MLflow 3 wants the logged model's id with such a source, but gives a version back without its `model_id`.
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        chosen = client.create_model_version(name, source, live.run_id, tags=tags, model_id=model_id)
    return Pin(int(chosen.version), chosen.tags["sha256"], chosen.run_id or "")


def roll(gitops: GitOps, cluster: Cluster, target: Target, pinned: PinnedModel, pin: Pin) -> dict[str, float]:
    """One rollout; seconds from the push (its own seconds are in "pushed", before that) to each stage."""
    assert pin.version is not None
    begun = time.monotonic()
    bump = Bump(
        environment=target.environment,
        app=target.app,
        model=target.model,
        registered_model=pinned.registered_model,
        pin=pin,
        kind="rollback",
    )
    delivery = gitops.deliver(bump)
    pushed = time.monotonic()
    if delivery.commit is None:
        raise BenchmarkError(f"nothing was pushed for version {pin.version}: {delivery.outcome}")
    cluster.refresh(f"{target.environment}-{target.app}")
    seen = Watch(cluster, target, pin.version, delivery.commit).follow(pushed)
    return {"pushed": pushed - begun, **seen}


def measure(home: Path, target: Target, rounds: int) -> list[dict[str, float]]:
    """Rolls there and back `rounds` times.

    Raises:
        BenchmarkError: the platform is not up, nothing is live, or a rollout does not end.
    """
    state = home / "platform.json"
    if not state.exists():
        raise BenchmarkError("the sandbox is not up: `make demo` starts it and makes a version to serve")
    urls = json.loads(state.read_text(encoding="utf-8"))["urls"]
    os.environ |= {"GIT_CONFIG_GLOBAL": str(home / "git" / "config"), "GIT_TERMINAL_PROMPT": "0"}
    gitops = GitOps(GitOpsSettings(url=REPOSITORY_URL))
    pinned, _ = gitops.read(target.environment, target.app, target.model)
    if pinned.pin.version is None:
        raise BenchmarkError(f"no version of {target.model!r} is live in the sandbox: `make demo` makes one")
    other = other_version(urls["mlflow"], pinned)
    cluster = Cluster(home / "kube" / "kubeconfig")
    taken = []
    for _ in range(rounds):
        for pin in (other, pinned.pin):
            taken.append(roll(gitops, cluster, target, pinned, pin))
            print(f"to version {pin.version}: " + ", ".join(f"{name} {taken[-1][name]:.2f} s" for name in STAGES))
    return taken


def table(taken: Sequence[dict[str, float]]) -> str:
    """What RESULTS.md shows: the median and the longest time to each stage."""
    rows = [
        [stage, f"{median(each[stage] for each in taken):.1f}", f"{max(each[stage] for each in taken):.1f}"]
        for stage in STAGES[1:]
    ]
    pushes = f"{median(each['pushed'] for each in taken):.1f}"
    head = f"{len(taken)} rollouts, {this_machine()}. Making the commit and pushing it took {pushes} s before that."
    return "\n".join([head, "", *markdown_table(["seconds from the push to", "median", "longest"], rows)])


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 1 and one paragraph on stderr where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.rollout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="there and back each")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("SANDBOX_HOME") or ROOT / ".sandbox"))
    options = parser.parse_args(arguments)
    try:
        taken = measure(options.home.resolve(), Target(), options.rounds)
    except BenchmarkError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    print(table(taken))
    write_section(RESULTS, "rollout", table(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
