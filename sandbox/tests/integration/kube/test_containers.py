"""Containers as local processes: environment, volumes, probes, restarts, ends."""

from __future__ import annotations

import base64
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from sandbox.tests.support.kube import Server, deployment, eventually, finished, pod

SLEEP = "import time; time.sleep(60)"


def log(core: client.CoreV1Api, namespace: str, name: str, **options: Any) -> str:
    # Read as bytes: this client turns a log into the text of a Python literal.
    answer = core.read_namespaced_pod_log(name, namespace, _preload_content=False, **options)
    return str(answer.data.decode())


def test_running_at_the_first_read(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", SLEEP))
    assert core.read_namespaced_pod("a", namespace).status.phase == "Running"


def test_environment_has_references_and_nothing_of_ours(core: client.CoreV1Api, namespace: str) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"user": "ada", "pass": "geheim"}}
    core.create_namespaced_secret(namespace, secret)
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "c"}, "data": {"KEY": "value"}})
    env = [
        {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pass"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "absent", "optional": True}}},
        {"name": "JOINED", "value": "$(S_user):$(PASS):$(UNKNOWN):$$(PASS)"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]
    container = {
        "envFrom": [{"prefix": "S_", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c"}}],
        "env": env,
        "resources": {"limits": {"memory": "64Mi"}},
        "args": ["$(JOINED)"],
    }
    code = "import os, sys, json; print(json.dumps(dict(os.environ))); print(sys.argv[1])"
    core.create_namespaced_pod(namespace, pod("a", code, container=container))
    status = finished(core, namespace, "a").status
    raw = log(core, namespace, "a").splitlines()
    assert raw[1] == "ada:geheim:$(UNKNOWN):$(PASS)"
    for part in ('"KEY": "value"', f'"IP": "{status.pod_ip}"', '"APP": "a"', '"MEMORY": "64"', '"FROM_IMAGE": "yes"'):
        assert part in raw[0]
    assert '"NONE"' not in raw[0] and "PYTEST" not in raw[0] and str(Path.home()) + '"' not in raw[0]


def test_missing_secret_key_is_named_and_can_be_added(core: client.CoreV1Api, namespace: str) -> None:
    env = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pass"}}}]
    core.create_namespaced_secret(namespace, {"metadata": {"name": "s"}})
    core.create_namespaced_pod(namespace, pod("a", "pass", container={"env": env}))
    waiting = core.read_namespaced_pod("a", namespace).status.container_statuses[0].state.waiting
    assert waiting.reason == "CreateContainerConfigError"
    assert waiting.message == f"couldn't find key pass in Secret {namespace}/s"
    core.patch_namespaced_secret("s", namespace, {"stringData": {"pass": "x"}})
    assert finished(core, namespace, "a").status.phase == "Succeeded"


@pytest.mark.parametrize(
    ("image", "text"), [("ghcr.io/x/nobody:1", "nobody"), ("unbuilt", ".venv/no-such-environment")]
)
def test_unknown_image_names_the_file(core: client.CoreV1Api, namespace: str, image: str, text: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", "pass", container={"image": image}))
    waiting = core.read_namespaced_pod("a", namespace).status.container_statuses[0].state.waiting
    assert waiting.reason in ("ErrImagePull", "ImagePullBackOff")
    assert text in waiting.message and "images.yaml" in waiting.message


def test_volumes_are_shared_and_paths_rewritten(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_secret(namespace, {"metadata": {"name": "s"}, "stringData": {"token": "t0"}})
    mounts = [
        {"name": "w", "mountPath": "/work"},
        {"name": "w", "mountPath": "/work/deep", "subPath": "below"},
        {"name": "s", "mountPath": "/secrets", "readOnly": True},
    ]
    init = {
        "name": "first", "image": "python", "volumeMounts": [{"name": "w", "mountPath": "/out"}],
        "command": ["sh", "-c", "mkdir -p /out/below && echo from-init > /out/below/file"],
    }  # fmt: skip
    code = "import sys; print(*(open(p).read().strip() for p in sys.argv[1:3]), sys.argv[3:])"
    container = {
        "volumeMounts": mounts,
        "args": ["/work/deep/file", "/secrets/token", "/worker", "x=/work", "file:///work/a"],
    }
    volumes = [{"name": "w", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s"}}]
    core.create_namespaced_pod(namespace, pod("a", code, container=container, volumes=volumes, initContainers=[init]))
    assert finished(core, namespace, "a").status.phase == "Succeeded"
    text = log(core, namespace, "a")
    assert text.startswith("from-init t0 ['/worker', 'x=/") and "/v/w'" in text and "file:///" in text
    assert "x=/work" not in text


def test_claim_outlives_pods_and_the_server(tmp_path: Path) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    container = {"volumeMounts": [{"name": "d", "mountPath": "/data"}], "args": ["/data/count"]}
    code = "import sys; f = open(sys.argv[1], 'a+'); f.write('x'); f.seek(0); print(len(f.read()))"
    for count in ("1", "2"):
        server = Server(tmp_path / "root")
        try:
            core = client.CoreV1Api(server.api_client)
            core.create_namespaced_persistent_volume_claim("default", claim)
            core.create_namespaced_pod("default", pod("a", code, container=container, volumes=volumes))
            finished(core, "default", "a")
            assert log(core, "default", "a").strip() == count
            assert core.read_namespaced_persistent_volume_claim("data", "default").status.phase == "Bound"
        finally:
            assert server.stop() == 0


def test_missing_claim_keeps_the_pod_pending_with_an_event(core: client.CoreV1Api, namespace: str) -> None:
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "nowhere"}}]
    core.create_namespaced_pod(namespace, pod("a", "pass", volumes=volumes))
    assert core.read_namespaced_pod("a", namespace).status.phase == "Pending"
    events = core.list_namespaced_event(namespace, field_selector="involvedObject.name=a,reason=FailedMount").items
    assert 'persistentvolumeclaim "nowhere" not found' in events[0].message


def test_exit_code_message_and_log_options(core: client.CoreV1Api, namespace: str) -> None:
    code = (
        "import sys; [print('line', i) for i in range(100)]; print('ERROR: the reason', file=sys.stderr); sys.exit(3)"
    )
    container = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    core.create_namespaced_pod(namespace, pod("a", code, container=container))
    ended = finished(core, namespace, "a").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (3, "Error")
    assert "ERROR: the reason" in ended.message and len(ended.message) <= 2048
    assert len(log(core, namespace, "a").splitlines()) == 101
    assert len(log(core, namespace, "a", tail_lines=5).splitlines()) == 5
    stamp, _, text = log(core, namespace, "a", timestamps=True, tail_lines=1).partition(" ")
    assert stamp.endswith("Z") and len(stamp) == 30 and text
    assert log(core, namespace, "a", limit_bytes=4) == "line"


def test_what_a_container_leaves_in_its_termination_message_goes_before_its_log(
    core: client.CoreV1Api, namespace: str
) -> None:
    code = "import os; print('the log'); open(os.environ['WORDS'], 'w').write('the reason'); os._exit(3)"
    container = {
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [{"name": "WORDS", "value": "/dev/termination-log"}],
    }
    core.create_namespaced_pod(namespace, pod("a", code, container=container))
    assert finished(core, namespace, "a").status.container_statuses[0].state.terminated.message == "the reason"


def test_long_lines_come_back_whole(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", "print('x' * 50_000); print('y')"))
    finished(core, namespace, "a")
    assert [len(line) for line in log(core, namespace, "a").splitlines()] == [50_000, 1]


def test_restarts_back_off_and_keep_the_former_log(core: client.CoreV1Api, namespace: str) -> None:
    body = pod("a", "import os; print('pid', os.getpid()); os._exit(1)", restartPolicy="OnFailure")
    core.create_namespaced_pod(namespace, body)

    def crashing() -> Any:
        status = core.read_namespaced_pod("a", namespace).status.container_statuses[0]
        waiting = status.state.waiting
        return status if waiting and waiting.reason == "CrashLoopBackOff" and status.restart_count >= 2 else None

    status = eventually(crashing, "CrashLoopBackOff")
    assert status.last_state.terminated.exit_code == 1 and "back-off" in status.state.waiting.message
    assert core.read_namespaced_pod("a", namespace).status.phase == "Running"
    assert log(core, namespace, "a", previous=True) != log(core, namespace, "a")


def test_command_that_does_not_exist(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", "", container={"command": ["no-such-program"]}))
    ended = finished(core, namespace, "a").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert '"no-such-program": executable file not found in $PATH' in ended.message


def test_liveness_failure_restarts_and_startup_probe_gates(core: client.CoreV1Api, namespace: str) -> None:
    probe = {"exec": {"command": ["test", "-e", "/w/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {
        "command": ["sh", "-c", "sleep 1; touch /w/alive; sleep 1.5; rm /w/alive; sleep 60"],
        "volumeMounts": [{"name": "w", "mountPath": "/w"}],
        "startupProbe": {**probe, "failureThreshold": 30},
        "livenessProbe": probe,
    }
    volumes = [{"name": "w", "emptyDir": {}}]
    body = pod("a", "", container=container, volumes=volumes, restartPolicy="Always", terminationGracePeriodSeconds=1)
    core.create_namespaced_pod(namespace, body)
    assert core.read_namespaced_pod("a", namespace).status.container_statuses[0].started is False
    eventually(lambda: core.read_namespaced_pod("a", namespace).status.container_statuses[0].ready, "started")
    eventually(
        lambda: core.read_namespaced_pod("a", namespace).status.container_statuses[0].restart_count == 1, "a restart"
    )
    reasons = {event.reason for event in core.list_namespaced_event(namespace).items}
    assert {"Unhealthy", "Killing"} <= reasons


def test_pre_stop_then_term_then_kill(core: client.CoreV1Api, namespace: str, server: Server) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('term', flush=True))\n"
        "print('up', flush=True)\nwhile True: time.sleep(0.1)"
    )
    container = {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /w/hook"]}}}}
    container["volumeMounts"] = [{"name": "w", "mountPath": "/w"}]  # type: ignore[assignment]
    volumes = [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]
    resources = {"requests": {"storage": "1Gi"}}
    claim = {"metadata": {"name": "w"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}
    core.create_namespaced_persistent_volume_claim(namespace, claim)
    core.create_namespaced_pod(namespace, pod("a", code, container=container, volumes=volumes))
    eventually(lambda: "up" in log(core, namespace, "a"), "the handler")
    began = time.monotonic()
    core.delete_namespaced_pod("a", namespace)
    eventually(lambda: "term" in log(core, namespace, "a"), "SIGTERM")
    eventually(lambda: _gone(core, namespace, "a"), "the pod's end")
    # It ignores SIGTERM: the whole grace period passes.
    assert 1.5 < time.monotonic() - began < 6
    assert (server.root / "volumes" / namespace / "w" / "hook").read_text() == "hook\n"


def _gone(core: client.CoreV1Api, namespace: str, name: str) -> bool:
    try:
        core.read_namespaced_pod(name, namespace)
    except ApiException as error:
        return bool(error.status == 404)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# A daemon: a session of its own, and its parent gone. `$$$$` is `$$` after Kubernetes' expansion.
DAEMON = "setsid sh -c 'echo pid $$$$; sleep 60' & sleep 0.3; "


def _daemon_pid(core: client.CoreV1Api, namespace: str) -> int:
    return int(eventually(lambda: log(core, namespace, "a"), "the daemon's pid").split()[1])


def test_nothing_of_a_container_survives_it(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", "", container={"command": ["sh", "-c", DAEMON]}))
    assert finished(core, namespace, "a").status.phase == "Succeeded"
    assert not _alive(_daemon_pid(core, namespace))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_containers_end_with_the_server(tmp_path: Path, number: signal.Signals) -> None:
    server = Server(tmp_path / "root")
    try:
        core = client.CoreV1Api(server.api_client)
        body = pod("a", "", container={"command": ["sh", "-c", DAEMON + "sleep 60"]})
        core.create_namespaced_pod("default", body)
        pid = _daemon_pid(core, "default")
        assert _alive(pid)
    finally:
        code = server.stop(number)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    eventually(lambda: not _alive(pid), "the daemon's end", 5)


def test_deadline_fails_the_pod(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("a", SLEEP, activeDeadlineSeconds=1))
    status = finished(core, namespace, "a").status
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")


def test_two_servers_use_different_addresses(
    server: Server, tmp_path: Path, core: client.CoreV1Api, namespace: str
) -> None:
    other = Server(tmp_path / "root")
    try:
        there = client.CoreV1Api(other.api_client)
        there.create_namespaced_pod("default", pod("a", SLEEP))
        core.create_namespaced_pod(namespace, pod("a", SLEEP))
        first = core.read_namespaced_pod("a", namespace).status.pod_ip
        second = there.read_namespaced_pod("a", "default").status.pod_ip
        assert first.startswith("127.") and first.rpartition(".")[0] != second.rpartition(".")[0]
    finally:
        assert other.stop() == 0


def test_git_sync_image_publishes_a_repository(core: client.CoreV1Api, namespace: str, tmp_path: Path) -> None:
    repository = tmp_path / "remote"
    repository.mkdir()
    (repository / "file").write_text("content")
    git = (
        f"cd {repository} && git init -q -b main && git add file && git -c user.name=a -c user.email=a@b commit -qm one"
    )
    assert os.system(git) == 0
    env = {"REPO": str(repository), "REF": "main", "ROOT": "/git", "LINK": "repo", "ONE_TIME": "true"}
    sync = {
        "name": "sync", "image": "registry.k8s.io/git-sync/git-sync:v4.4.2",
        "env": [{"name": f"GITSYNC_{key}", "value": value} for key, value in env.items()],
        "volumeMounts": [{"name": "git", "mountPath": "/git"}],
    }  # fmt: skip
    container = {"volumeMounts": sync["volumeMounts"], "args": ["/git/repo/file"]}
    volumes = [{"name": "git", "emptyDir": {}}]
    body = pod(
        "a", "import sys; print(open(sys.argv[1]).read())", container=container, volumes=volumes, initContainers=[sync]
    )
    core.create_namespaced_pod(namespace, body)
    assert finished(core, namespace, "a").status.phase == "Succeeded"
    assert log(core, namespace, "a").strip() == "content"


def test_secret_files_have_their_mode_and_go_with_the_pod(
    server: Server, core: client.CoreV1Api, namespace: str
) -> None:
    secret = {"metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"v").decode()}}
    core.create_namespaced_secret(namespace, secret)
    volumes = [{"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}]
    container = {"volumeMounts": [{"name": "s", "mountPath": "/s"}], "args": ["/s/k"]}
    code = "import os, sys; print(oct(os.stat(sys.argv[1]).st_mode & 0o777))"
    core.create_namespaced_pod(namespace, pod("a", code, container=container, volumes=volumes))
    finished(core, namespace, "a")
    assert log(core, namespace, "a").strip() == "0o400"
    core.delete_namespaced_pod("a", namespace)
    eventually(lambda: not list(server.root.glob("pods/*/v/s/k")), "the removal of the pod's folder")


def test_deployment_pods_are_replaced(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", "v1"))
    eventually(lambda: apps.read_namespaced_deployment("web", namespace).status.available_replicas, "a replica")
    first = core.list_namespaced_pod(namespace).items[0].metadata.name
    core.delete_namespaced_pod(first, namespace)
    eventually(
        lambda: [p.metadata.name for p in core.list_namespaced_pod(namespace).items] not in ([first], []), "another pod"
    )
