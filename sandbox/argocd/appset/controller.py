"""The controller of ApplicationSets: generators and template in, Applications out."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import Any

from sandbox.argocd import clock
from sandbox.argocd.appset.generators import Params, Sources
from sandbox.argocd.appset.gotemplate import render_deep
from sandbox.argocd.cluster import compare
from sandbox.argocd.cluster.kube import APPLICATION_SETS, APPLICATIONS, SECRETS, KubeApi, Manifest
from sandbox.argocd.errors import ApiError, ArgoError, GitError, TemplateError, UnsupportedError, only
from sandbox.argocd.render.gitrepo import GitCache

log = logging.getLogger("argocd.applicationset")
MANAGER = "argocd-applicationset-controller"
REFRESH = "argocd.argoproj.io/application-set-refresh"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
FIELDS = {"goTemplate", "goTemplateOptions", "generators", "template", "syncPolicy"}
# Policy to what it allows beside creating; `sync` where the ApplicationSet names none and the controller has none.
POLICIES: dict[str, set[str]] = {
    "sync": {"update", "delete"},
    "create-update": {"update"},
    "create-delete": {"delete"},
    "create-only": set(),
}
RECHECK = 10.0


@dataclass
class AppSetState:
    """What the controller keeps of an ApplicationSet between two rounds: what it came to when it was last evaluated."""

    key: Any = None
    due: float = 0.0
    apps: list[Manifest] | None = None
    error: ArgoError | None = None


class ApplicationSets:
    """Reconciles every ApplicationSet of a namespace."""

    def __init__(self, api: KubeApi, git: GitCache, namespace: str, poll: float) -> None:
        self._api = api
        self._git = git
        self._namespace = namespace
        self._poll = poll
        self._generated: dict[str, AppSetState] = {}

    async def tick(self) -> None:
        """One round over all of them."""
        sets = await self._api.list(APPLICATION_SETS, self._namespace)
        clusters = await self._api.list(SECRETS, self._namespace, "argocd.argoproj.io/secret-type=cluster")
        for appset in sets:
            name = appset["metadata"]["name"]
            if appset["metadata"].get("deletionTimestamp"):
                continue
            try:
                await self.reconcile(appset, clusters)
            except ApiError as error:
                log.log(logging.DEBUG if error.status in (404, 409) else logging.WARNING, "%s: %s", name, error)
            except Exception:
                log.exception("%s: this round failed; the next one retries", name)

    async def reconcile(self, appset: Manifest, clusters: list[Manifest]) -> None:
        """Evaluate it when something that it depends on may have changed; keep its Applications as they should be."""
        generated = self._generated.setdefault(appset["metadata"]["uid"], AppSetState())
        refresh = REFRESH in (appset["metadata"].get("annotations") or {})
        key = (appset["spec"], [(c["metadata"]["uid"], c["metadata"]["resourceVersion"]) for c in clusters])
        if refresh or generated.key != key or time.monotonic() >= generated.due:
            generated.key = key
            await self._evaluate(appset, clusters, generated)
        if generated.apps is not None:
            await self._apply(appset, generated)
        if refresh:
            patch = {"metadata": {"annotations": {REFRESH: None}}}
            await self._api.merge_patch(APPLICATION_SETS, self._namespace, appset["metadata"]["name"], patch)
        await self._write(appset, generated)

    async def _evaluate(self, appset: Manifest, clusters: list[Manifest], generated: AppSetState) -> None:
        name = appset["metadata"]["name"]
        try:
            for url in sorted(repositories(appset["spec"])):
                await self._git.fetch(url)
            generated.apps = await applications(appset, Sources(self._git, clusters))
            generated.error = None
            names = ", ".join(app["metadata"]["name"] for app in generated.apps)
            log.info(
                "%s: generated %s", name, names or "nothing: no file, or no cluster Secret, matches its generators"
            )
        except ArgoError as error:
            # The Applications that there are stay: not being able to tell is no reason to delete anything.
            generated.error = error
            if not isinstance(error, GitError):
                generated.apps = None
            log.warning("%s: %s", name, error)
        generated.due = time.monotonic() + (self._poll if generated.error is None else min(RECHECK, self._poll))

    async def _apply(self, appset: Manifest, generated: AppSetState) -> None:
        """Create, update and delete Applications."""
        meta, allowed = appset["metadata"], policy(appset)
        live = {app["metadata"]["name"]: app for app in await self._api.list(APPLICATIONS, self._namespace)}
        assert generated.apps is not None
        for wanted in generated.apps:
            found = live.get(wanted["metadata"]["name"])
            if found is not None and not _owned(found, meta["uid"]):
                generated.error = InvalidOwner(wanted["metadata"]["name"], meta["name"])
                continue
            if found is not None and "update" not in allowed:
                continue
            if found is None or found.get("spec") != wanted["spec"] or compare.differs(wanted, found):
                await self._api.apply(APPLICATIONS, wanted, MANAGER)
        names = {wanted["metadata"]["name"] for wanted in generated.apps}
        for name, app in live.items():
            gone = app["metadata"].get("deletionTimestamp")
            if "delete" in allowed and name not in names and not gone and _owned(app, meta["uid"]):
                log.info("%s: deleting Application %s, which nothing generates any more", meta["name"], name)
                await self._api.delete(APPLICATIONS, self._namespace, name)

    async def _write(self, appset: Manifest, generated: AppSetState) -> None:
        before = appset.get("status") or {}
        apps = generated.apps or []
        status: Manifest = {"conditions": _conditions(generated, before.get("conditions") or [])}
        listed = [
            {"group": "argoproj.io", "version": "v1alpha1", "kind": "Application", "name": app["metadata"]["name"],
             "namespace": self._namespace}
            for app in apps
        ]  # fmt: skip
        status["resources"] = listed if generated.apps is not None else before.get("resources") or []
        if {key: before.get(key) for key in status} != status:
            name = appset["metadata"]["name"]
            patch = {"status": status}
            await self._api.merge_patch(APPLICATION_SETS, self._namespace, name, patch, "status")


class InvalidOwner(ArgoError):
    """An Application of that name exists and is not this ApplicationSet's."""

    def __init__(self, app: str, appset: str) -> None:
        super().__init__(
            f"Application {app} exists and does not belong to ApplicationSet {appset}; rename one of them."
        )


def repositories(value: Any) -> set[str]:
    """Every repository that a git generator below ``value`` names."""
    found: set[str] = set()
    if isinstance(value, dict):
        git = value.get("git")
        if isinstance(git, dict) and isinstance(git.get("repoURL"), str):
            found.add(git["repoURL"])
        for child in value.values():
            found |= repositories(child)
    elif isinstance(value, list):
        for child in value:
            found |= repositories(child)
    return found


def policy(appset: Manifest) -> set[str]:
    """What the controller may do to Applications beside creating them: `update`, `delete`.

    Raises:
        UnsupportedError: Argo CD has no such policy.
    """
    given: Any = only(
        appset["spec"].get("syncPolicy"), {"applicationsSync", "preserveResourcesOnDeletion"}, "spec.syncPolicy"
    )
    name = given.get("applicationsSync") or "sync"
    if name not in POLICIES:
        raise UnsupportedError(f"spec.syncPolicy.applicationsSync is {name!r}, not one of {', '.join(POLICIES)}.")
    return POLICIES[name]


async def applications(appset: Manifest, sources: Sources) -> list[Manifest]:
    """The Applications that an ApplicationSet stands for, by name.

    Raises:
        UnsupportedError: it asks for what the stand-in does not do.
        TemplateError: a template fails, or two parameter sets yield one name.
        GitError: a revision or file cannot be read.
    """
    spec: Any = only(appset["spec"], FIELDS, "spec")
    if not spec.get("goTemplate") or spec.get("goTemplateOptions") != ["missingkey=error"]:
        raise UnsupportedError('Only goTemplate: true with goTemplateOptions: ["missingkey=error"] is supported.')
    policy(appset)
    result: dict[str, Manifest] = {}
    for generator in spec["generators"]:
        for params in await sources.generate(generator):
            app = _application(appset, params)
            name = app["metadata"]["name"]
            if name in result:
                raise TemplateError(
                    f"ApplicationSet {appset['metadata']['name']} contains applications with duplicate name: {name}"
                )
            result[name] = app
    return [result[name] for name in sorted(result)]


def _application(appset: Manifest, params: Params) -> Manifest:
    spec = appset["spec"]
    template: Any = only(spec["template"], {"metadata", "spec"}, "spec.template")
    only(template["metadata"], {"name", "labels", "annotations", "finalizers"}, "spec.template.metadata")
    app = render_deep(template, params)
    meta = app["metadata"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", meta["name"]):
        raise TemplateError(
            f"{meta['name']!r} is no name for an Application: lower-case letters, digits, '-' and '.' only."
        )
    preserve = (spec.get("syncPolicy") or {}).get("preserveResourcesOnDeletion")
    if not preserve and not meta.get("finalizers"):
        meta["finalizers"] = [FINALIZER]
    owner = appset["metadata"]
    meta["namespace"] = owner["namespace"]
    meta["ownerReferences"] = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": owner["name"], "uid": owner["uid"],
         "controller": True, "blockOwnerDeletion": True}
    ]  # fmt: skip
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **app}


def _owned(app: Manifest, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in app["metadata"].get("ownerReferences") or [])


def _conditions(generated: AppSetState, before: list[Manifest]) -> list[Manifest]:
    error = generated.error
    if error is None:
        done = "All applications have been generated successfully"
        wanted = [
            (
                "ErrorOccurred",
                "False",
                "ApplicationSetUpToDate",
                "Successfully generated parameters for all Applications",
            ),
            (
                "ParametersGenerated",
                "True",
                "ParametersGenerated",
                "Successfully generated parameters for all Applications",
            ),
            ("ResourcesUpToDate", "True", "ApplicationSetUpToDate", done),
        ]
    else:
        reason = "ApplicationGenerationFromParamsError"
        wanted = [
            ("ErrorOccurred", "True", reason, str(error)),
            ("ParametersGenerated", "False", "ErrorOccurred", str(error)),
            ("ResourcesUpToDate", "False", reason, str(error)),
        ]
    times = {(c["type"], c["status"], c["message"]): c.get("lastTransitionTime") for c in before}
    return [
        {"type": kind, "status": status, "reason": reason, "message": text,
         "lastTransitionTime": times.get((kind, status, text)) or clock.now()}
        for kind, status, reason, text in wanted
    ]  # fmt: skip
