"""The real kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from sandbox.tests.support.kube import Server, deployment, eventually, pod, service

Kubectl = Callable[..., str]


def columns(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def container_of(text: str) -> dict[str, Any]:
    """The only container of a deployment in JSON."""
    (container,) = json.loads(text)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def application(name: str) -> dict[str, Any]:
    status = {"sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name},
        "spec": {"project": "lifecycle"},
        "status": status,
    }


def test_get_prints_what_a_cluster_prints(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=[deployment("web", "v1"), service("web"), application("app")])
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    header, row = columns(kubectl("get", "pods"))
    assert header == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"] and row[1:4] == ["1/1", "Running", "0"]
    header, row = columns(kubectl("get", "deployments"))
    assert header == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"] and row[:4] == ["web", "1/1", "1", "1"]
    assert columns(kubectl("get", "applications")) == [
        ["NAME", "SYNC", "STATUS", "HEALTH", "STATUS"], ["app", "Synced", "Healthy"],
    ]  # fmt: skip
    assert columns(kubectl("get", "services"))[1][:2] == ["web", "ClusterIP"]
    everything = kubectl("get", "pods,deployments,replicasets,services,applications", "--all-namespaces")
    assert everything.count(namespace) == 5
    wide = columns(kubectl("get", "pods", "--output=wide"))
    assert wide[0][5:7] == ["IP", "NODE"] and wide[1][5].startswith("127.") and wide[1][6] == "sandbox"
    assert json.loads(kubectl("get", "deploy", "web", "--output=json"))["spec"]["progressDeadlineSeconds"] == 600
    assert "Annotations" in (text := kubectl("describe", "deployment", "web")) and "ScalingReplicaSet" in text


def test_pods_show_why_they_wait(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=pod("a", "pass", container={"image": "nobody"}))
    eventually(lambda: "ImagePull" in columns(kubectl("get", "pods"))[1][2], "ErrImagePull in the STATUS column")
    assert "no image 'nobody'" in kubectl("describe", "pod", "a")


def test_logs_follow_and_wait(kubectl: Kubectl) -> None:
    code = "import time\nfor i in range(4): print('line', i, flush=True); time.sleep(0.3)"
    kubectl("apply", "--server-side", "-f", "-", stdin=pod("a", code))
    assert kubectl("logs", "--follow", "a").splitlines() == [f"line {i}" for i in range(4)]
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/a", "--timeout=10s")
    assert kubectl("logs", "a", "--tail=1").strip() == "line 3"
    assert "previous terminated container" in kubectl("logs", "a", "--previous", check=False)


def test_create_patch_label_annotate_delete(kubectl: Kubectl) -> None:
    kubectl("create", "secret", "generic", "s", "--from-literal=pass=geheim")
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    assert kubectl("get", "secret", "s", "--output=jsonpath={.data.pass}") == "Z2VoZWlt"
    kubectl("label", "configmap", "c", "x=1")
    kubectl("annotate", "configmap", "c", "note=2")
    kubectl("patch", "configmap", "c", "--type=json", '--patch=[{"op": "add", "path": "/data/k", "value": "v"}]')
    kubectl("patch", "configmap", "c", "--type=merge", '--patch={"data": {"a": null}}')
    found = json.loads(kubectl("get", "configmap", "c", "--output=json"))
    assert found["metadata"]["labels"] == {"x": "1"} and found["data"] == {"k": "v"}
    assert found["metadata"]["annotations"] == {"note": "2"}
    kubectl("delete", "configmap", "c")
    assert "NotFound" in kubectl("get", "configmap", "c", check=False)


def test_rollout_by_strategic_patch_scale_and_undo(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("web", "v1"))
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    # Only the named container's variable changes; a merge patch would lose the rest of it.
    container = {"name": "web", "env": [{"name": "MORE", "value": "1"}]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kubectl("patch", "deployment", "web", f"--patch={json.dumps(patch)}")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    found = json.loads(kubectl("get", "deployment", "web", "--output=json"))["spec"]["template"]["spec"]["containers"][
        0
    ]
    assert [entry["name"] for entry in found["env"]] == ["MORE", "POD_IP"] and found["ports"]
    kubectl("scale", "deployment", "web", "--replicas=2")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    text = kubectl("get", "deployment", "web", "--output=json")
    assert [entry["name"] for entry in container_of(text)["env"]] == ["POD_IP"]
    assert json.loads(text)["spec"]["replicas"] == 2
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")


def test_get_watch_streams_changes(kubectl: Kubectl, server: Server, namespace: str) -> None:
    command = [
        "kubectl",
        f"--kubeconfig={server.kubeconfig}",
        f"--namespace={namespace}",
        "get",
        "configmaps",
        "--watch",
    ]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        kubectl("create", "configmap", "seen", "--from-literal=a=b")
        assert watching.stdout is not None
        assert watching.stdout.readline().split() == ["NAME", "DATA", "AGE"]
        assert watching.stdout.readline().split()[:2] == ["seen", "1"]
    finally:
        watching.kill()
        watching.communicate(timeout=10)


def test_refusal_names_the_field(kubectl: Kubectl) -> None:
    text = kubectl("apply", "--server-side", "-f", "-", stdin=pod("a", "pass", hostPID=True), check=False)
    assert "spec.hostPID: Forbidden: not supported by the sandbox's Kubernetes" in text


def test_dry_run_changes_nothing(kubectl: Kubectl) -> None:
    assert "created (server dry run)" in kubectl(
        "create", "--dry-run=server", "-f", "-", stdin=pod("a", "pass"), check=False
    )
    assert "NotFound" in kubectl("get", "pod", "a", check=False)
