"""The controller of Applications: load what Git wants, compare, sync, heal, and write Argo CD's status fields."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from functools import partial

from . import clock, compare, source, state, status
from .errors import ApiError, ArgoError, GitError, InvalidSpecError
from .generators import IN_CLUSTER
from .gitrepo import GitCache
from .kube import APPLICATIONS, PROJECTS, SECRETS, KubeApi, Manifest
from .loaded import HEAL_PAUSE, Loaded
from .project import DEFAULT, Project
from .spec import AppSpec, parse
from .state import Item
from .sync import Result, Sync

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
        self._loaded: dict[str, Loaded] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def tick(self) -> None:
        """Start a round for each Application that is not still in one."""
        apps = await self._api.list(APPLICATIONS, self._namespace)
        uids = {app["metadata"]["uid"] for app in apps}
        for uid in set(self._loaded) - uids:
            del self._loaded[uid]
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
            log.exception("%s: this round failed; the next one starts anew", name)

    async def reconcile(self, app: Manifest) -> None:
        """One round: (re)load when asked or due, compare with what is live, sync if need be, write the status."""
        if app["metadata"].get("deletionTimestamp"):
            await self._finalize(app)
            return
        loaded = self._loaded.setdefault(app["metadata"]["uid"], Loaded())
        refresh = REFRESH in (app["metadata"].get("annotations") or {})
        if refresh or time.monotonic() >= loaded.due or loaded.given != app.get("spec"):
            await self._load(app, loaded)
        items = await self._observe(app, loaded) if loaded.desired is not None else []
        if loaded.desired is not None and self._wants_sync(loaded, items):
            app = await self._write(app, loaded, items, refresh, operation=self._begin(app, loaded))
            refresh = False
            result = await self._sync(app, loaded, items)
            items, operation = await self._observe(app, loaded), self._finish(app, loaded, result)
            # As Argo CD compares anew after a sync: from reconciledAt on, the health is that of what was applied.
            loaded.compared_at = clock.now()
            await self._write(app, loaded, items, refresh, operation=operation)
        else:
            await self._write(app, loaded, items, refresh, operation=self._given_up(app, loaded))

    # Loading

    async def _load(self, app: Manifest, loaded: Loaded) -> None:
        """Fetch git, resolve the revision, render. What fails is kept in ``loaded.error``."""
        name = app["metadata"]["name"]
        loaded.given, loaded.compared_at = app.get("spec"), clock.now()
        loaded.error, loaded.desired, loaded.unreachable = None, None, ""
        try:
            spec = loaded.spec = parse(app)
            loaded.project = await self._project(spec.project)
            loaded.project.check_source(spec.source["repoURL"])
            loaded.server = await self._destination(spec)
            loaded.project.check_destination(loaded.server, spec.destination.get("namespace", ""))
            url = spec.source["repoURL"]
            try:
                await self._git.fetch(url)
            except GitError as error:
                loaded.unreachable = str(error)
            revision = await self._git.resolve(url, spec.source.get("targetRevision", "HEAD"))
            if revision != loaded.revision:
                log.info("%s: revision %s", name, revision[:12])
            loaded.revision = revision
            root = await self._git.checkout(url, revision)
            namespace = spec.destination.get("namespace", "")
            rendered = await asyncio.to_thread(source.manifests, spec.source, root, name, namespace)
            loaded.desired = await state.complete(self._api, name, namespace, rendered)
        except ApiError:
            raise
        except ArgoError as error:
            log.warning("%s: %s", name, error)
            loaded.error = error
        failed = loaded.error is not None or bool(loaded.unreachable)
        loaded.due = time.monotonic() + (min(RECHECK, self._poll) if failed else self._poll)

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

    async def _observe(self, app: Manifest, loaded: Loaded) -> list[Item]:
        assert loaded.desired is not None
        return await state.observe(self._api, app["metadata"]["name"], loaded.desired, self._known(app))

    @staticmethod
    def _known(app: Manifest) -> list[Manifest]:
        status = app.get("status") or {}
        result = (status.get("operationState") or {}).get("syncResult") or {}
        return (status.get("resources") or []) + (result.get("resources") or [])

    # Syncing

    def _wants_sync(self, loaded: Loaded, items: list[Item]) -> bool:
        spec = loaded.spec
        assert spec is not None and loaded.desired is not None
        pending = [item for item in items if not item.synced]
        if not spec.automated or not pending:
            return False
        if all(item.prune and (not spec.prune or item.forbids("Prune")) for item in pending):
            return False
        if not loaded.desired and not spec.allow_empty:
            return False
        now = time.monotonic()
        if loaded.attempted != (loaded.revision, spec.key):
            return True
        if not loaded.succeeded:
            return loaded.again > 0 and now >= loaded.again
        return spec.self_heal and now - loaded.healed >= HEAL_PAUSE

    def _begin(self, app: Manifest, loaded: Loaded) -> Manifest:
        spec = loaded.spec
        assert spec is not None
        attempt = (loaded.revision, spec.key)
        if loaded.attempted != attempt:
            loaded.attempted, loaded.retries = attempt, 0
        elif loaded.succeeded:
            loaded.healed, loaded.retries = time.monotonic(), 0
            log.info("%s: healing what differs from %s", app["metadata"]["name"], loaded.revision[:12])
        loaded.succeeded = False
        former = (app.get("status") or {}).get("operationState") or {}
        started = former.get("startedAt") if loaded.retries else None
        operation: Manifest = {
            "operation": {
                "sync": {
                    "revision": loaded.revision,
                    "prune": spec.prune,
                    "syncOptions": [f"{key}={value}" for key, value in spec.options.items()],
                },
                "initiatedBy": {"automated": True},
                "retry": {"limit": spec.retry.limit},
            },
            "phase": "Running",
            "message": "applying",
            "startedAt": started or clock.now(),
            "syncResult": {"revision": loaded.revision, "source": spec.source, "resources": []},
        }
        if loaded.retries:
            operation["retryCount"] = loaded.retries
        return operation

    async def _sync(self, app: Manifest, loaded: Loaded, items: list[Item]) -> Result:
        assert loaded.spec is not None and loaded.project is not None
        sync = Sync(self._api, loaded.project, loaded.spec, loaded.server, lambda: self._observe(app, loaded))
        return await sync.run(items)

    def _finish(self, app: Manifest, loaded: Loaded, result: Result) -> Manifest:
        """The operation's last state, or its waiting for a retry."""
        spec = loaded.spec
        assert spec is not None
        operation = {**app["status"]["operationState"], "phase": result.phase, "message": result.message}
        operation["syncResult"] = {**operation["syncResult"], "resources": result.resources}
        loaded.again, loaded.succeeded = 0.0, result.phase == "Succeeded"
        if loaded.succeeded:
            operation["finishedAt"] = clock.now()
            return operation
        log.warning("%s: sync failed: %s", app["metadata"]["name"], result.message)
        if spec.retry.limit >= 0 and loaded.retries >= spec.retry.limit:
            operation["finishedAt"] = clock.now()
            if loaded.retries:
                operation["message"] += f" (retried {loaded.retries} times)."
            return operation
        loaded.retries += 1
        delay = spec.retry.delay(loaded.retries)
        loaded.again = time.monotonic() + delay
        operation["phase"], operation["retryCount"] = "Running", loaded.retries
        operation["message"] += f". Retrying attempt #{loaded.retries} at {clock.later(delay)}."
        return operation

    @staticmethod
    def _given_up(app: Manifest, loaded: Loaded) -> Manifest | None:
        """The end of an operation that waits for a retry of what Git no longer asks for; None where there is none."""
        operation = (app.get("status") or {}).get("operationState") or {}
        if loaded.desired is None or loaded.spec is None or operation.get("phase") != "Running":
            return None
        if loaded.attempted == (loaded.revision, loaded.spec.key):
            return None
        message = f"{operation['message']} Given up: Git is at {loaded.revision[:12]} now, and nothing differs from it."
        return {**operation, "phase": "Failed", "message": message, "finishedAt": clock.now()}

    # Deleting

    async def _finalize(self, app: Manifest) -> None:
        """The finalizer's promise: what the Application made goes first, then the Application."""
        meta = app["metadata"]
        ours = [name for name in meta.get("finalizers") or [] if name in FINALIZERS]
        if not ours:
            return
        items = await state.observe(self._api, meta["name"], [], self._known(app))
        left = [item for item in items if not item.forbids("Delete")]
        for item in left:
            await self._api.delete(item.resource, item.namespace, item.name)
        if not left:
            rest = [name for name in meta["finalizers"] if name not in FINALIZERS]
            await self._api.merge_patch(APPLICATIONS, self._namespace, meta["name"], {"metadata": {"finalizers": rest}})
            log.info("%s: deleted with everything that it managed", meta["name"])

    # The status

    async def _write(
        self, app: Manifest, loaded: Loaded, items: list[Item], refresh: bool, operation: Manifest | None = None
    ) -> Manifest:
        """Patch what has changed; with ``refresh``, take the annotation away in the same request."""
        before = app.get("status") or {}
        after = status.compose(app, loaded, items, before, operation)
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
