"""The kinds of object that this API serves, in one table. Anything else is a 404, as on a cluster without that CRD."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource of the API.

    ``status``: writes to the main resource leave ``.status`` alone, as with Kubernetes' status subresource.
    ``inert``: stored and listed, but nothing acts on it.
    ``generation``: its metadata counts the changes of what is asked for; None: as with every custom resource.
    """

    group: str
    version: str
    kind: str
    plural: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    scale: bool = False
    inert: bool = False
    generation: bool | None = None
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """What ``apiVersion`` says in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The lower-case name that kubectl takes."""
        return self.kind.lower()

    @property
    def custom(self) -> bool:
        """True for what a CRD defines on a cluster: no strategic merge, lists are atomic, fields are not checked."""
        return self.group in ("argoproj.io", "serving.kserve.io")

    @property
    def counted(self) -> bool:
        """Whether `metadata.generation` counts changes."""
        return self.custom if self.generation is None else self.generation


ALL = ("all",)
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", ("ns",), namespaced=False, status=True)
POD = Kind("", "v1", "Pod", "pods", ("po",), status=True, categories=ALL)
SERVICE = Kind("", "v1", "Service", "services", ("svc",), status=True, categories=ALL)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", ("cm",))
SECRET = Kind("", "v1", "Secret", "secrets")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", ("sa",))
CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", ("pvc",), status=True)
EVENT = Kind("", "v1", "Event", "events", ("ev",))
DEPLOYMENT = Kind(
    "apps", "v1", "Deployment", "deployments", ("deploy",), status=True, scale=True, generation=True, categories=ALL
)
REPLICA_SET = Kind(
    "apps", "v1", "ReplicaSet", "replicasets", ("rs",), status=True, scale=True, generation=True, categories=ALL
)
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", generation=True)
APPLICATION = Kind("argoproj.io", "v1alpha1", "Application", "applications", ("app", "apps"))
APPLICATION_SET = Kind(
    "argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets", ("appset", "appsets"), status=True
)
APP_PROJECT = Kind("argoproj.io", "v1alpha1", "AppProject", "appprojects", ("appproj", "appprojs"))
# KServe's, which nothing here acts on: what an Application asks of them can be read.
INFERENCE_SERVICE = Kind(
    "serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", ("isvc",), status=True, inert=True
)
SERVING_RUNTIME = Kind("serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes", status=True, inert=True)
TRAINED_MODEL = Kind("serving.kserve.io", "v1alpha1", "TrainedModel", "trainedmodels", ("tm",), status=True, inert=True)
DISRUPTION_BUDGET = Kind(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", ("pdb",), inert=True, generation=True
)
NETWORK_POLICY = Kind(
    "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", ("netpol",), inert=True, generation=True
)
ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")

KINDS = (
    NAMESPACE, POD, SERVICE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, CLAIM, EVENT, DEPLOYMENT, REPLICA_SET,
    ENDPOINT_SLICE, APPLICATION, APPLICATION_SET, APP_PROJECT, INFERENCE_SERVICE, SERVING_RUNTIME, TRAINED_MODEL,
    DISRUPTION_BUDGET, NETWORK_POLICY, ROLE, ROLE_BINDING,
)  # fmt: skip


def find(group: str, version: str, plural: str) -> Kind | None:
    """The kind behind a URL, or None."""
    return next((k for k in KINDS if (k.group, k.version, k.plural) == (group, version, plural)), None)


def group_versions() -> list[tuple[str, str]]:
    """Every (group, version) apart from the core group, in table order."""
    return list(dict.fromkeys((k.group, k.version) for k in KINDS if k.group))
