"""The HTTP API: discovery, and get, list, watch, create, update, patch, delete of every kind."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import ApiError, invalid, method_not_allowed
from sandbox.kube.http import discovery
from sandbox.kube.http.authentication import MASTERS, Authenticator, User
from sandbox.kube.http.authorization import REVIEWS, action, authorize, review
from sandbox.kube.http.faults import Faults
from sandbox.kube.http.pod_logs import serve_log
from sandbox.kube.http.reading import answer, list_answer, watch_answer
from sandbox.kube.http.request import (
    Filter,
    Target,
    body,
    check_query,
    flag,
    manager,
    object_of,
    target,
)
from sandbox.kube.http.writing import (
    APPLY,
    PATCHES,
    delete_options,
    patched,
    scale_of,
    server_metadata,
    with_version_of,
)
from sandbox.kube.objects import kinds
from sandbox.kube.objects.admission import admit, check_body
from sandbox.kube.objects.apply import apply, record_update
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object

START_WAIT = 1.0


class Api:
    """Request handlers over a cluster. ``secret`` is the administrator's, the first part of every path."""

    def __init__(self, cluster: Cluster, secret: str) -> None:
        self.cluster = cluster
        self.store = cluster.store
        self.authenticator = Authenticator(cluster.store, secret)
        self.faults = Faults()

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_get("/readyz", _ready)
        app.router.add_route("*", "/{secret:[^/]+}{path:/.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request of somebody who is known; failures become Status objects."""
        try:
            user = self.authenticator.user(request)
            if MASTERS not in user.groups:
                await self.faults.strike()
            return await self._dispatch(request, request.match_info["path"], user)
        except ApiError as error:
            headers = {"Retry-After": "1"} if error.code == 429 else None
            if error.unheard:
                return web.Response(text=error.message, status=error.code, headers=headers)
            return web.json_response(error.status(), status=error.code, headers=headers)

    async def _dispatch(self, request: web.Request, path: str, user: User) -> web.StreamResponse:
        if path == "/faults" and request.method == "PUT" and MASTERS in user.groups:
            self.faults.set(await body(request) or {})
            return web.json_response({})
        if path == "/allocatable" and request.method == "PUT" and MASTERS in user.groups:
            self.cluster.kubelet.scheduler.set(await body(request) or {})
            return web.json_response({})
        if (document := self._document(path, request.match_info["secret"])) is not None:
            return web.json_response(document)
        if path in ("/readyz", "/healthz", "/livez"):
            return await _ready(request)
        if path == REVIEWS and request.method == "POST":
            return web.json_response(review(self.store, user, await body(request) or {}), status=201)
        asked = target(path)
        if asked is None:
            raise ApiError(404, "404 page not found\n", unheard=True)
        self._authorize(request, asked, user)
        check_query(request)
        if asked.kind.namespaced and asked.namespace is None and asked.name is None and request.method == "DELETE":
            raise method_not_allowed()
        if asked.kind.namespaced and asked.namespace is None and (asked.name or request.method == "POST"):
            raise ApiError(400, f"{asked.kind.plural} are namespaced: the URL must name a namespace")
        if asked.subresource:
            return await self._subresource(request, asked)
        if asked.name is None:
            return await self._collection(request, asked)
        return await self._single(request, asked, asked.name)

    def _authorize(self, request: web.Request, asked: Target, user: User) -> None:
        wanted = action(request, asked)
        authorize(self.store, user, wanted)
        creates = request.method == "PATCH" and request.content_type == APPLY and asked.name and not asked.subresource
        if creates and not self.store.find(asked.kind, asked.namespace or "", asked.name or ""):
            authorize(self.store, user, replace(wanted, verb="create"))

    def _document(self, path: str, secret: str) -> Object | None:
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["version"]:
                return discovery.version()
            case ["api"]:
                return discovery.core_versions()
            case ["apis"]:
                return discovery.groups()
            case ["api", "v1"]:
                return discovery.resources("", "v1")
            case ["apis", group]:
                return discovery.group(group)
            case ["apis", group, version]:
                return discovery.resources(group, version)
            case ["openapi", "v3"]:
                return discovery.openapi_index(f"/{secret}")
            case ["openapi", "v3", "api", "v1"]:
                return discovery.openapi("", "v1")
            case ["openapi", "v3", "apis", group, version]:
                return discovery.openapi(group, version)
        return None

    async def _collection(self, request: web.Request, asked: Target) -> web.StreamResponse:
        if request.method == "GET":
            if flag(request, "watch"):
                return await watch_answer(self.store, request, asked)
            return list_answer(self.store, request, asked)
        if request.method == "POST":
            return await self._create(request, asked)
        if request.method == "DELETE":
            return await self._delete_collection(request, asked)
        raise method_not_allowed()

    async def _create(self, request: web.Request, asked: Target) -> web.Response:
        obj = check_body(asked.kind, await object_of(request), asked.namespace or "", None)
        if obj["metadata"].get("resourceVersion"):
            raise ApiError(500, "resourceVersion should not be set on objects to be created", reason="InternalError")
        created = await self._store_new(request, asked.kind, obj, manager(request))
        return answer(request, asked.kind, created, 201)

    async def _store_new(self, request: web.Request, kind: Kind, obj: Object, owner: str = "") -> Object:
        """Admit and store. ``owner`` is who gets the fields; none where an apply has said it."""
        if kind.status:
            obj.pop("status", None)
        obj = admit(kind, obj, None)
        if owner:
            obj["metadata"]["managedFields"] = record_update(None, obj, owner, not kind.custom)
        dry = bool(request.query.get("dryRun"))
        created = self.cluster.create(kind, obj, dry=dry)
        if kind == kinds.POD and not dry:
            # So that a client that reads the pod once sees it running, as KubernetesPodOperator hopes for.
            await self.cluster.kubelet.started(created["metadata"]["uid"], START_WAIT)
            meta = created["metadata"]
            created = self.store.find(kind, meta["namespace"], meta["name"]) or created
        return created

    async def _single(self, request: web.Request, asked: Target, name: str) -> web.StreamResponse:
        kind, namespace = asked.kind, asked.namespace or ""
        if request.method == "GET":
            if flag(request, "watch"):
                raise ApiError(400, "watch a list with fieldSelector=metadata.name=… instead of one object")
            return answer(request, kind, self.store.get(kind, namespace, name))
        if request.method == "PUT":
            return await self._replace(request, asked, name)
        if request.method == "PATCH":
            return await self._patch(request, asked, name)
        if request.method == "DELETE":
            return await self._delete(request, asked, name)
        raise method_not_allowed()

    async def _replace(self, request: web.Request, asked: Target, name: str) -> web.Response:
        kind, namespace = asked.kind, asked.namespace or ""
        obj = check_body(kind, await object_of(request), namespace, name)
        former = self.store.get(kind, namespace, name)
        if kind.custom and not obj["metadata"].get("resourceVersion"):
            text = "Invalid value: 0: must be specified for an update"
            raise invalid(kind.kind, kind.group, name, [("metadata.resourceVersion", text)])
        return answer(request, kind, self._put(request, asked, obj, former, manager(request)))

    def _put(self, request: web.Request, asked: Target, obj: Object, former: Object, owner: str = "") -> Object:
        """Admit and store a new state of an object, leaving alone what the (sub)resource may not change.

        ``owner`` is who gets the fields that changed; none where an apply has said it.
        """
        kind = asked.kind
        if asked.subresource == "status":
            obj = {**former, "status": obj.get("status") or {}, "metadata": with_version_of(obj, former)}
            if not obj["status"]:
                del obj["status"]
        else:
            if kind.status:
                obj = {key: value for key, value in obj.items() if key != "status"}
                obj |= {"status": former["status"]} if "status" in former else {}
            if kind == kinds.SERVICE and not obj.get("spec", {}).get("clusterIP"):
                obj["spec"] = {**obj.get("spec", {}), "clusterIP": former["spec"].get("clusterIP")}
            obj["metadata"] = server_metadata(kind, obj["metadata"], former["metadata"])
            obj = admit(kind, obj, former)
            if owner:
                obj["metadata"]["managedFields"] = record_update(former, obj, owner, not kind.custom)
        if request.query.get("dryRun"):
            return obj
        return self.store.put(kind, obj)

    async def _patch(self, request: web.Request, asked: Target, name: str) -> web.Response:
        kind, namespace = asked.kind, asked.namespace or ""
        style = request.content_type
        if style not in PATCHES or (style.startswith("application/strategic") and kind.custom):
            accepted = ", ".join(sorted(p for p in PATCHES if not (kind.custom and "strategic" in p)))
            raise ApiError(415, f"the body of the request was in an unknown format - accepted media types: {accepted}")
        change = await body(request)
        if style == APPLY:
            return await self._apply(request, asked, name, change)
        former = self.store.get(kind, namespace, name)
        obj = check_body(kind, patched(style, former, change), namespace, name)
        return answer(request, kind, self._put(request, asked, obj, former, manager(request)))

    async def _apply(self, request: web.Request, asked: Target, name: str, config: Any) -> web.Response:
        kind, namespace = asked.kind, asked.namespace or ""
        applier = request.query.get("fieldManager")
        if not applier:
            text = "Required value: is required for apply patch"
            raise invalid("PatchOptions", "meta.k8s.io", "", [("fieldManager", text)])
        config = check_body(kind, config, namespace, name)
        if kind.status:
            config.pop("status", None)
        live = self.store.find(kind, namespace, name)
        result = apply(live, config, applier, flag(request, "force"), keyed=not kind.custom)
        if live is None:
            return answer(request, kind, await self._store_new(request, kind, result), 201)
        return answer(request, kind, self._put(request, asked, result, live))

    async def _delete(self, request: web.Request, asked: Target, name: str) -> web.Response:
        kind, namespace = asked.kind, asked.namespace or ""
        obj = self.cluster.deleter.delete(kind, namespace, name, await delete_options(request))
        if self.store.find(kind, namespace, name):
            return answer(request, kind, obj)
        told = {"name": name, "group": kind.group, "kind": kind.plural, "uid": obj["metadata"]["uid"]}
        details = {key: value for key, value in told.items() if value}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        # A pod's deletion answers with the pod, everything else with a Status, as the real server does.
        return answer(request, kind, obj) if kind == kinds.POD else web.json_response(status)

    async def _delete_collection(self, request: web.Request, asked: Target) -> web.Response:
        options, chosen = await delete_options(request), Filter(asked.kind, request)
        deleted = []
        for obj in self.store.list(asked.kind, asked.namespace):
            meta = obj["metadata"]
            if chosen(obj) and self.store.find(asked.kind, meta.get("namespace", ""), meta["name"]):
                deleted.append(
                    self.cluster.deleter.delete(asked.kind, meta.get("namespace", ""), meta["name"], options)
                )
        meta = {"resourceVersion": str(self.store.version)}
        return web.json_response(
            {"kind": f"{asked.kind.kind}List", "apiVersion": asked.kind.api_version, "metadata": meta, "items": deleted}
        )

    async def _subresource(self, request: web.Request, asked: Target) -> web.StreamResponse:
        kind, namespace, name = asked.kind, asked.namespace or "", asked.name or ""
        if kind == kinds.POD and asked.subresource == "log" and request.method == "GET":
            return await serve_log(request, self.cluster.kubelet, self.store.get(kind, namespace, name))
        if asked.subresource == "status" and kind.status:
            return await self._single(request, asked, name)
        if asked.subresource == "scale" and kind.scale:
            return await self._scale(request, asked, name)
        if kind == kinds.SERVICE_ACCOUNT and asked.subresource == "token" and request.method == "POST":
            account = self.store.get(kind, namespace, name)
            return web.json_response(self.authenticator.request_token(account, await body(request) or {}), status=201)
        if asked.subresource in ("exec", "attach", "portforward", "proxy", "eviction", "ephemeralcontainers"):
            raise ApiError(
                501,
                f"{kind.plural}/{asked.subresource} is not supported by the sandbox's Kubernetes: a container is a "
                "local process and a pod's address is reachable as it is; see sandbox/kube/README.md",
            )
        raise ApiError(404, "404 page not found\n", unheard=True)

    async def _scale(self, request: web.Request, asked: Target, name: str) -> web.Response:
        kind, namespace = asked.kind, asked.namespace or ""
        obj = self.store.get(kind, namespace, name)
        if request.method in ("PUT", "PATCH"):
            change = await body(request)
            scale = change if request.method == "PUT" else patched(request.content_type, scale_of(obj), change)
            changed = copy.deepcopy(obj)
            changed["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas", 0)
            obj = self._put(request, Target(kind, namespace, name, ""), changed, obj, manager(request))
        return web.json_response(scale_of(obj))


async def _ready(_: web.Request) -> web.Response:
    await asyncio.sleep(0)
    return web.Response(text="ok")
