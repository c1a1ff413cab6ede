"""The generators of an ApplicationSet: each yields sets of parameters for its template."""

from __future__ import annotations

import base64
import posixpath
import re
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.argocd import globs
from sandbox.argocd.appset.gotemplate import render, render_deep
from sandbox.argocd.cluster.kube import IN_CLUSTER, Manifest
from sandbox.argocd.errors import TemplateError, UnsupportedError, only
from sandbox.argocd.render.gitrepo import GitCache

Params = dict[str, Any]


@dataclass
class Sources:
    """What generators read from."""

    git: GitCache
    clusters: list[Manifest]

    async def generate(self, generator: Manifest) -> list[Params]:
        """The parameter sets of one entry of ``spec.generators``.

        Raises:
            UnsupportedError: a generator, or a field of one, that the stand-in does not know.
            TemplateError, GitError: as Argo CD would.
        """
        if len(generator) != 1:
            raise UnsupportedError(
                f"A generator has to be one of matrix, git, clusters or list; this has {sorted(generator)}."
            )
        ((name, spec),) = generator.items()
        if name == "matrix":
            return await self._matrix(spec)
        if name == "git":
            return await self._git_files(spec)
        if name == "clusters":
            return self._clusters(spec)
        if name == "list":
            return [dict(element) for element in only(spec, {"elements"}, "list").get("elements") or []]  # type: ignore[attr-defined]
        raise UnsupportedError(
            f"The generator {name!r} is not supported by the stand-in for Argo CD (it knows matrix, git files,"
            " clusters and list)."
        )

    async def _matrix(self, spec: Manifest) -> list[Params]:
        children: Any = only(spec, {"generators"}, "matrix").get("generators") or []
        if len(children) != 2:
            raise UnsupportedError(f"A matrix generator combines exactly two generators; this one has {len(children)}.")
        result = []
        for outer in await self.generate(children[0]):
            # The second child may use what the first yields. Where both set a key, the first one's value stays.
            for inner in await self.generate(render_deep(children[1], outer)):
                result.append({**inner, **outer})
        return result

    async def _git_files(self, spec: Manifest) -> list[Params]:
        only(spec, {"repoURL", "revision", "files", "pathParamPrefix", "values", "requeueAfterSeconds"}, "git")
        if not spec.get("files"):
            raise UnsupportedError("Of the git generator only `files` is supported, not `directories`.")
        commit = await self.git.resolve(spec["repoURL"], spec.get("revision") or "HEAD")
        paths = await self.git.files(spec["repoURL"], commit)
        included: set[str] = set()
        excluded: set[str] = set()
        for entry in spec["files"]:
            only(entry, {"path", "exclude"}, "git.files[]")
            (excluded if entry.get("exclude") else included).update(globs.git_files(entry["path"], paths))
        result = []
        for path in sorted(included - excluded):
            for found in _parameter_sets(path, await self.git.read(spec["repoURL"], commit, path)):
                params = dict(found)
                prefix = spec.get("pathParamPrefix")
                params.update({prefix: {"path": _path(path)}} if prefix else {"path": _path(path)})
                result.append(_with_values(params, spec.get("values")))
        return result

    def _clusters(self, spec: Manifest | None) -> list[Params]:
        settings: Any = only(spec, {"selector", "values"}, "clusters")
        selector: Any = only(settings.get("selector"), {"matchLabels", "matchExpressions"}, "clusters.selector")
        result = []
        for secret in self.clusters:
            labels = secret["metadata"].get("labels") or {}
            if not selects(selector, labels):
                continue
            data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
            name = data.get("name", "")
            params: Params = {
                "name": name,
                "nameNormalized": _normalize(name),
                "server": data.get("server", ""),
                "project": data.get("project", ""),
                "metadata": {"labels": labels, "annotations": secret["metadata"].get("annotations") or {}},
            }
            result.append(_with_values(params, settings.get("values")))
        # Only a selector that asks for nothing also finds the cluster that Argo CD runs in, which needs no Secret.
        if not selector and IN_CLUSTER not in [params["server"] for params in result]:
            local: Params = {"name": "in-cluster", "nameNormalized": "in-cluster", "server": IN_CLUSTER, "project": ""}
            result.append(_with_values(local, settings.get("values")))
        return result


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a Kubernetes label selector (matchLabels, matchExpressions) matches labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for rule in selector.get("matchExpressions") or []:
        key, operator, values = rule["key"], rule["operator"], rule.get("values") or []
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise UnsupportedError(
                f"A label selector's operator is In, NotIn, Exists or DoesNotExist, not {operator!r}."
            )
        matched = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not matched:
            return False
    return True


def _parameter_sets(path: str, text: str) -> list[Params]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TemplateError(f"unable to process file {path!r}: it is no YAML: {error}") from error
    found = [found or {}] if not isinstance(found, list) else found
    if not all(isinstance(item, dict) for item in found):
        raise TemplateError(f"unable to process file {path!r}: it is neither a mapping nor a list of mappings.")
    return found


def _path(file: str) -> Params:
    folder, name = posixpath.split(file)
    return {
        "path": folder,
        "basename": posixpath.basename(folder),
        "basenameNormalized": _normalize(posixpath.basename(folder)),
        "filename": name,
        "filenameNormalized": _normalize(name),
        "segments": folder.split("/"),
    }


def _normalize(name: str) -> str:
    """What makes any name one of Kubernetes' DNS names, as Argo CD's SanitizeName."""
    return re.sub(r"[^-a-z0-9.]", "-", name.lower())[:253].strip("-.")


def _with_values(params: Params, values: dict[str, str] | None) -> Params:
    if not values:
        return params
    return {**params, "values": {key: render(str(value), params) for key, value in values.items()}}
