"""Claims that exist against the sizes in the settings: what grows, what a person must do, and what cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.findings import Finding, fail, note
from cluster.kubectl import Kubectl, Object
from cluster.settings import Settings

UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
# What makes only volumes that one node mounts at a time: disks, and folders of a node.
DISKS = (
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "kubernetes.io/aws-ebs",
    "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd",
    "disk.csi.azure.com",
    "kubernetes.io/azure-disk",
    "rancher.io/local-path",
)


@dataclass(frozen=True)
class Claim:
    """A claim, its size's setting, and the StatefulSet whose template it comes from (empty: it is in Git)."""

    namespace: str
    name: str
    setting: str
    template_of: str = ""

    def __str__(self) -> str:
        return f"claim {self.name} in namespace {self.namespace}"


MONITORING = "prometheus-kube-prometheus-stack-prometheus"
CLAIMS = (
    Claim("lifecycle", "workspace", "storage.workspace_size"),
    Claim("platform", "mlflow-artifacts", "storage.artifacts_size"),
    # A server of the type `statefulset`; CloudNativePG enlarges its own.
    Claim("platform", "data-postgresql-0", "storage.database_size", "postgresql"),
    Claim("platform", "logs-airflow-scheduler-0", "storage.logs_size", "airflow-scheduler"),
    Claim("monitoring", f"{MONITORING}-db-{MONITORING}-0", "storage.metrics_size", MONITORING),
)


def findings(settings: Settings, kubectl: Kubectl, classes: list[Object]) -> Iterator[Finding]:
    """What Argo CD could not apply, or would apply without effect."""
    grows = {each["metadata"]["name"]: each.get("allowVolumeExpansion") is True for each in classes}
    # One request for all of them: a cluster far away takes half a second for each.
    all_claims = kubectl.list("persistentvolumeclaim")
    there = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in all_claims}
    for claim in CLAIMS:
        found = there.get((claim.namespace, claim.name))
        if found is None or (claim.template_of == "postgresql" and settings.text("postgresql.type") != "statefulset"):
            continue
        spec = found["spec"]
        has, wanted = spec["resources"]["requests"]["storage"], settings.text(claim.setting)
        yield from _resized(claim, has, wanted, grows.get(spec.get("storageClassName", ""), False))
        if claim.name == "workspace" and settings.text("storage.workspace_access") not in spec["accessModes"]:
            yield fail(
                f"The {claim} is {' and '.join(spec['accessModes'])}, which cannot change, and "
                f"storage.workspace_access is {settings.text('storage.workspace_access')}. Set it back, or pause the "
                "pipelines, delete the claim (its dataset cache and checkpoints go with it) and run this again."
            )


def _resized(claim: Claim, has: str, wanted: str, grows: bool) -> Iterator[Finding]:
    now, then = bytes_of(has), bytes_of(wanted)
    if now is None or then is None or now == then:
        return
    if then < now:
        yield fail(
            f"The {claim} asks for {has}, and a volume never shrinks: {claim.setting} must be {has} or "
            f"more, not {wanted}."
        )
    elif not grows:
        yield fail(
            f"The {claim} asks for {has} of a StorageClass without allowVolumeExpansion: {claim.setting} must stay "
            f"{has}, not {wanted}. Or copy what is in it to a new claim."
        )
    elif claim.template_of:
        patch = f'{{"spec":{{"resources":{{"requests":{{"storage":"{wanted}"}}}}}}}}'
        yield fail(
            f"The {claim} asks for {has}, {claim.setting} is {wanted}, and the template of a StatefulSet cannot "
            f"change. Enlarge the claim and let the StatefulSet be made again around its running pods: kubectl -n "
            f"{claim.namespace} patch pvc {claim.name} --patch '{patch}' && kubectl -n {claim.namespace} delete "
            f"statefulset {claim.template_of} --cascade=orphan"
        )
    else:
        yield note(f"the {claim} grows from {has} to {wanted}")


def bytes_of(size: str) -> int | None:
    """A size such as 50Gi in bytes; None where it is written in another form."""
    found = re.fullmatch(r"(\d+)(Mi|Gi|Ti)", size)
    return int(found[1]) * UNITS[found[2]] if found else None


def access(settings: Settings, default: Object) -> Iterator[Finding]:
    """Whether the default class can make the workspace that the settings ask for."""
    provisioner = default.get("provisioner", "")
    if settings.text("storage.workspace_access") == "ReadWriteMany" and provisioner in DISKS:
        yield fail(
            f"storage.workspace_access is ReadWriteMany, and the default StorageClass {default['metadata']['name']} "
            f"({provisioner}) makes volumes for one node at a time. Make a class of a file share the default "
            "(docs/install-managed-gpu.md), or set ReadWriteOnce: then all trainings run on one node."
        )
