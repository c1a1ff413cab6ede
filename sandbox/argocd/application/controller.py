"""The controller of Applications: load what Git wants, compare, sync, heal, and write Argo CD's status fields."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from dataclasses import replace
from functools import partial

from sandbox.argocd import clock
from sandbox.argocd.application import status
from sandbox.argocd.application.project import DEFAULT, Project
from sandbox.argocd.application.spec import AppSpec, parse
from sandbox.argocd.application.state import HEAL_PAUSE, AppState
from sandbox.argocd.application.sync import Result, Sync
from sandbox.argocd.cluster import compare, objects
from sandbox.argocd.cluster.ignored import respected
from sandbox.argocd.cluster.kube import APPLICATIONS, IN_CLUSTER, PROJECTS, SECRETS, KubeApi, Manifest
from sandbox.argocd.cluster.objects import ManagedObject
from sandbox.argocd.errors import ApiError, ArgoError, GitError, InvalidSpecError
from sandbox.argocd.render import source
from sandbox.argocd.render.gitrepo import GitCache

log = logging.getLogger("argocd.application")
REFRESH = "argocd.argoproj.io/refresh"
FINALIZERS = ("resources-finalizer.argocd.argoproj.io", "resources-finalizer.argocd.argoproj.io/background",
              "resources-finalizer.argocd.argoproj.io/foreground")  # fmt: skip
# How soon something that failed is looked at again.
RECHECK = 10.0


class Applications:
    """Reconciles every Application of a namespace, each one on its own."""

    def __init__(self, api: KubeApi, git: GitCache, namespace: str, poll: float) -> None:
        self._api = api
        self._git = git
        self._namespace = namespace
        self._poll = poll
        self._states: dict[str, AppState] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def tick(self) -> None:
        """Start a round for each Application that is not still in one."""
        apps = await self._api.list(APPLICATIONS, self._namespace)
        uids = {app["metadata"]["uid"] for app in apps}
        for uid in set(self._states) - uids:
            del self._states[uid]
        for app in apps:
            uid = app["metadata"]["uid"]
            if uid not in self._running:
                task = asyncio.create_task(self._guarded(app))
                self._running[uid] = task
                task.add_done_callback(partial(self._done, uid))

    def _done(self, uid: str, _: asyncio.Task[None]) -> None:
        self._running.pop(uid, None)

    async def close(self) -> None:
        """End the rounds that are still running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, app: Manifest) -> None:
        name = app["metadata"]["name"]
        try:
            await self.reconcile(app)
        except ApiError as error:
            # 409: somebody wrote in between; the next round sees it. Others: the API server's own trouble.
            log.log(logging.DEBUG if error.status in (404, 409) else logging.WARNING, "%s: %s", name, error)
        except Exception:
            log.exception("%s: this round failed; the next one retries", name)

    async def reconcile(self, app: Manifest) -> None:
        """One round: (re)load when asked or due, compare with what is live, sync if need be, write the status."""
        if app["metadata"].get("deletionTimestamp"):
            await self._finalize(app)
            return
        state = self._states.setdefault(app["metadata"]["uid"], _resumed(app))
        refresh = REFRESH in (app["metadata"].get("annotations") or {})
        if refresh or time.monotonic() >= state.due or state.raw_spec != app.get("spec"):
            await self._load(app, state)
        items = await self._observe(app, state) if state.desired is not None else []
        if state.desired is not None and self._wants_sync(state, items):
            app = await self._write(app, state, items, refresh, operation=self._begin(app, state))
            refresh = False
            result = await self._sync(app, state, items)
            items, operation = await self._observe(app, state), self._finish(app, state, result)
            # As Argo CD compares again after a sync: from reconciledAt on, the health is that of what was applied.
            state.compared_at = clock.now()
            await self._write(app, state, items, refresh, operation=operation)
        else:
            await self._write(app, state, items, refresh)

    # Loading

    async def _load(self, app: Manifest, state: AppState) -> None:
        """Fetch git, resolve the revision, render. What fails is kept in ``state.error``."""
        name = app["metadata"]["name"]
        state.raw_spec, state.compared_at = app.get("spec"), clock.now()
        state.error, state.desired, state.unreachable = None, None, ""
        try:
            spec = state.spec = parse(app)
            state.project = await self._project(spec.project)
            state.project.check_source(spec.source["repoURL"])
            state.server = await self._destination(spec)
            state.project.check_destination(state.server, spec.destination.get("namespace", ""))
            url = spec.source["repoURL"]
            try:
                await self._git.fetch(url)
            except GitError as error:
                state.unreachable = str(error)
            revision = await self._git.resolve(url, spec.source.get("targetRevision", "HEAD"))
            if revision != state.revision:
                log.info("%s: revision %s", name, revision[:12])
            state.revision = revision
            root = await self._git.checkout(url, revision)
            namespace = spec.destination.get("namespace", "")
            rendered = await asyncio.to_thread(source.manifests, spec.source, root, name, namespace)
            state.desired = await objects.complete(self._api, name, namespace, rendered)
        except ApiError:
            raise
        except ArgoError as error:
            log.warning("%s: %s", name, error)
            state.error = error
        failed = state.error is not None or bool(state.unreachable)
        state.due = time.monotonic() + (min(RECHECK, self._poll) if failed else self._poll)

    async def _project(self, name: str) -> Project:
        manifest = await self._api.get(PROJECTS, self._namespace, name)
        if manifest is None and name == "default":
            # Argo CD makes it when it starts.
            default = {**DEFAULT, "metadata": {"name": "default", "namespace": self._namespace}}
            manifest = await self._api.apply(PROJECTS, default)
        if manifest is None:
            raise InvalidSpecError(f"Application referencing project {name} which does not exist")
        return Project(manifest)

    async def _destination(self, spec: AppSpec) -> str:
        """The destination's API server, by whatever name it is known: the one that this program talks to."""
        known = {"in-cluster": IN_CLUSTER}
        for secret in await self._api.list(SECRETS, self._namespace, "argocd.argoproj.io/secret-type=cluster"):
            data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
            known[data.get("name", "")] = data.get("server", "")
        server = spec.destination.get("server") or known.get(spec.destination.get("name", ""), "")
        if server not in known.values():
            raise InvalidSpecError(f"There is no cluster {spec.destination.get('name') or server!r}; add its Secret.")
        if server != IN_CLUSTER:
            raise InvalidSpecError(f"The stand-in for Argo CD deploys to {IN_CLUSTER} only, not to {server}.")
        return server

    async def _observe(self, app: Manifest, state: AppState) -> list[ManagedObject]:
        assert state.desired is not None
        items = await objects.observe(self._api, app["metadata"]["name"], state.desired, self._known(app))
        rules = state.spec.ignored if state.spec else ()
        return [replace(item, desired=respected(rules, item.desired, item.live)) for item in items]

    @staticmethod
    def _known(app: Manifest) -> list[Manifest]:
        status = app.get("status") or {}
        result = (status.get("operationState") or {}).get("syncResult") or {}
        return (status.get("resources") or []) + (result.get("resources") or [])

    # Syncing

    def _wants_sync(self, state: AppState, items: list[ManagedObject]) -> bool:
        spec = state.spec
        assert spec is not None and state.desired is not None
        pending = [item for item in items if not item.synced and not item.extraneous]
        now = time.monotonic()
        if state.retry_at:
            # The operation continues, whatever Git says now; its next try takes that.
            return now >= state.retry_at
        if not spec.automated or not pending:
            return False
        if all(item.prune and (not spec.prune or item.forbids("Prune")) for item in pending):
            return False
        if not state.desired and not spec.allow_empty:
            return False
        if state.attempted != (state.revision, spec.key):
            return True
        return state.succeeded and spec.self_heal and now - state.healed_at >= HEAL_PAUSE

    def _begin(self, app: Manifest, state: AppState) -> Manifest:
        spec = state.spec
        assert spec is not None
        attempt = (state.revision, spec.key)
        if state.retry_at:
            state.attempted = attempt
        elif state.attempted != attempt:
            state.attempted, state.retries = attempt, 0
        elif state.succeeded:
            state.healed_at, state.retries = time.monotonic(), 0
            log.info("%s: healing what differs from %s", app["metadata"]["name"], state.revision[:12])
        state.succeeded = False
        former = (app.get("status") or {}).get("operationState") or {}
        started = former.get("startedAt") if state.retries else None
        operation: Manifest = {
            "operation": {
                "sync": {
                    "revision": state.revision,
                    "prune": spec.prune,
                    "syncOptions": [f"{key}={value}" for key, value in spec.options.items()],
                },
                "initiatedBy": {"automated": True},
                "retry": {"limit": spec.retry.limit},
            },
            "phase": "Running",
            "message": "applying",
            "startedAt": started or clock.now(),
            "syncResult": {"revision": state.revision, "source": spec.source, "resources": []},
        }
        if state.retries:
            operation["retryCount"] = state.retries
        return operation

    async def _sync(self, app: Manifest, state: AppState, items: list[ManagedObject]) -> Result:
        assert state.spec is not None and state.project is not None
        sync = Sync(self._api, state.project, state.spec, state.server, lambda: self._observe(app, state))
        return await sync.run(items)

    def _finish(self, app: Manifest, state: AppState, result: Result) -> Manifest:
        """The operation's last state, or its waiting for a retry."""
        spec = state.spec
        assert spec is not None
        operation = {**app["status"]["operationState"], "phase": result.phase, "message": result.message}
        operation["syncResult"] = {**operation["syncResult"], "resources": result.resources}
        state.retry_at, state.succeeded = 0.0, result.phase == "Succeeded"
        if state.succeeded:
            operation["finishedAt"] = clock.now()
            return operation
        log.warning("%s: sync failed: %s", app["metadata"]["name"], result.message)
        if spec.retry.limit >= 0 and state.retries >= spec.retry.limit:
            operation["finishedAt"] = clock.now()
            if state.retries:
                operation["message"] += f" (retried {state.retries} times)."
            return operation
        state.retries += 1
        delay = spec.retry.delay(state.retries)
        state.retry_at = time.monotonic() + delay
        operation["phase"], operation["retryCount"] = "Running", state.retries
        operation["message"] += f". Retrying attempt #{state.retries} at {clock.later(delay)}."
        return operation

    # Deleting

    async def _finalize(self, app: Manifest) -> None:
        """The finalizer's promise: what the Application made goes first, then the Application."""
        meta = app["metadata"]
        ours = [name for name in meta.get("finalizers") or [] if name in FINALIZERS]
        if not ours:
            return
        items = await objects.observe(self._api, meta["name"], [], self._known(app))
        left = [item for item in items if not item.forbids("Delete")]
        for item in left:
            await self._api.delete(item.resource, item.namespace, item.name)
        if not left:
            rest = [name for name in meta["finalizers"] if name not in FINALIZERS]
            await self._api.merge_patch(APPLICATIONS, self._namespace, meta["name"], {"metadata": {"finalizers": rest}})
            log.info("%s: deleted with everything that it managed", meta["name"])

    # The status

    async def _write(
        self,
        app: Manifest,
        state: AppState,
        items: list[ManagedObject],
        refresh: bool,
        operation: Manifest | None = None,
    ) -> Manifest:
        """Patch what has changed; with ``refresh``, take the annotation away in the same request."""
        before = app.get("status") or {}
        after = status.compose(app, state, items, before, operation)
        patch: Manifest = {}
        if after != before:
            patch["status"] = compare.merge_patch(before, after)
        if refresh:
            # The version makes this fail when somebody has written since, perhaps another request to refresh.
            version = app["metadata"]["resourceVersion"]
            patch["metadata"] = {"annotations": {REFRESH: None}, "resourceVersion": version}
        if not patch:
            return app
        return await self._api.merge_patch(APPLICATIONS, self._namespace, app["metadata"]["name"], patch)


def _resumed(app: Manifest) -> AppState:
    """What a controller that has just started knows: an operation that a former one left running is tried again."""
    operation = (app.get("status") or {}).get("operationState") or {}
    if operation.get("phase") != "Running":
        return AppState()
    return AppState(retries=operation.get("retryCount", 0), retry_at=time.monotonic())
