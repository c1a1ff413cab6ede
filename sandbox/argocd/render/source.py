"""From an Application's source, checked out, to the manifests that it wants: a Helm chart or a directory."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import helm_python
import yaml

from sandbox.argocd import globs
from sandbox.argocd.cluster.kube import Manifest
from sandbox.argocd.errors import RenderError, UnsupportedError, only

HELM = {
    "releaseName", "valueFiles", "ignoreMissingValueFiles", "parameters", "values", "valuesObject", "skipCrds",
    "namespace",
}  # fmt: skip


def check(source: Manifest) -> None:
    """Raises UnsupportedError for what this cannot render."""
    only(source, {"repoURL", "targetRevision", "path", "helm", "directory"}, "spec.source")
    if not source.get("path"):
        raise UnsupportedError("spec.source.path is needed: only sources in a git repository are supported.")
    only(source.get("helm"), HELM, "spec.source.helm")
    only(source.get("directory"), {"recurse", "include", "exclude"}, "spec.source.directory")


def manifests(source: Manifest, root: Path, app: str, namespace: str) -> list[Manifest]:
    """The objects that a source wants, in the order of its files.

    ``root`` is the checked-out repository, ``app`` and ``namespace`` are the Application's name and destination.

    Raises:
        RenderError: as Argo CD's ComparisonError.
        UnsupportedError: kustomize, jsonnet, Helm hooks.
    """
    folder = inside(root, root, source["path"])
    if not folder.is_dir():
        raise RenderError(f"{source['path']}: app path does not exist in the repository at this revision.")
    if (folder / "Chart.yaml").exists():
        return _helm(source.get("helm") or {}, root, folder, app, namespace)
    if source.get("helm"):
        raise RenderError(f"{source['path']} holds no Chart.yaml, but spec.source.helm is set.")
    if any((folder / name).exists() for name in ("kustomization.yaml", "kustomization.yml", "Kustomization")):
        raise UnsupportedError(f"{source['path']} is a kustomization, which the stand-in for Argo CD does not render.")
    return _directory(source.get("directory") or {}, folder)


def inside(root: Path, base: Path, name: str) -> Path:
    """A path of the repository: from its root if absolute, else from ``base``. RenderError if it leads outside."""
    path = (root / name.lstrip("/") if name.startswith("/") else base / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise RenderError(f"{name} leads outside the repository.")
    return path


def _helm(helm: Manifest, root: Path, folder: Path, app: str, namespace: str) -> list[Manifest]:
    release = helm.get("releaseName") or app
    try:
        with helm_python.Chart.load(folder) as chart:
            rendered = chart.render(
                _values(helm, root, folder), name=release, namespace=helm.get("namespace") or namespace
            )
            crds = [] if helm.get("skipCrds") else [crd["data"] for crd in chart.crds]
    except helm_python.HelmError as error:
        raise RenderError(f"Helm cannot render {folder.relative_to(root.resolve())}: {error}") from error
    result: list[Manifest] = []
    for number, text in enumerate(crds):
        result += _documents(f"crds/{number}", text)
    for path, text in sorted(rendered.items()):
        if posixpath.basename(path) != "NOTES.txt":
            result += [found for found in _documents(path, text) if not _is_test(found, path)]
    return result


def _is_test(manifest: Manifest, path: str) -> bool:
    hooks = (manifest["metadata"].get("annotations") or {}).get("helm.sh/hook")
    if hooks is None:
        return False
    if {hook.strip() for hook in hooks.split(",")} <= {"test", "test-success"}:
        return True  # Argo CD leaves these out as well.
    raise UnsupportedError(f"{path} is a Helm hook ({hooks}), which the stand-in for Argo CD does not run.")


def _values(helm: Manifest, root: Path, folder: Path) -> Manifest:
    """valueFiles, then valuesObject (or values), then parameters: the later wins."""
    values: Manifest = {}
    for name in helm.get("valueFiles") or []:
        if "://" in name or name.startswith("$") or any(sign in name for sign in "*?["):
            raise UnsupportedError(f"The values file {name!r}: URLs, $references and globs are not supported.")
        path = inside(root, folder, name)
        if not path.is_file():
            if helm.get("ignoreMissingValueFiles"):
                continue
            raise RenderError(f"The values file {name} is not in the repository at this revision.")
        merge(values, _mapping(name, path.read_text()))
    if helm.get("valuesObject"):
        merge(values, helm["valuesObject"])
    elif helm.get("values"):
        merge(values, _mapping("spec.source.helm.values", helm["values"]))
    for parameter in helm.get("parameters") or []:
        only(parameter, {"name", "value", "forceString"}, "spec.source.helm.parameters[]")
        merge(values, _parameter(parameter))
    return values


def _parameter(parameter: Manifest) -> Manifest:
    name, value = parameter["name"], str(parameter.get("value", ""))
    if "$ARGOCD_" in value or "$ARGOCD_" in name or "[" in name:
        raise UnsupportedError(f"The parameter {name!r}: build variables and list indexes are not supported.")
    if not parameter.get("forceString"):
        return helm_python.parse_set_string(f"{name}={value}")
    nested: Any = value
    for key in reversed(name.split(".")):
        nested = {key: nested}
    return dict(nested)


def merge(base: Manifest, over: Manifest) -> None:
    """Helm's way: mappings are merged, everything else is replaced."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def _mapping(name: str, text: str) -> Manifest:
    try:
        return helm_python.values_from_yaml(text)
    except helm_python.HelmError as error:
        raise RenderError(f"The values file {name} cannot be read: {error}") from error


def _directory(options: Manifest, folder: Path) -> list[Manifest]:
    result: list[Manifest] = []
    found = folder.rglob("*") if options.get("recurse") else folder.iterdir()
    for path in sorted(found):
        relative = path.relative_to(folder).as_posix()
        if not path.is_file() or path.suffix not in (".yaml", ".yml", ".json", ".jsonnet"):
            continue
        if options.get("include") and not globs.directory(options["include"]).match(relative):
            continue
        if options.get("exclude") and globs.directory(options["exclude"]).match(relative):
            continue
        if path.suffix == ".jsonnet":
            raise UnsupportedError(f"{relative}: jsonnet is not supported by the stand-in for Argo CD.")
        result += _documents(relative, path.read_text())
    return result


def _documents(name: str, text: str) -> list[Manifest]:
    try:
        documents = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        raise RenderError(f"{name} is no valid YAML: {error}") from error
    result: list[Manifest] = []
    for document in documents:
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise RenderError(f"{name} holds a document without apiVersion or kind.")
        if document["kind"] == "List":
            result += document.get("items") or []
        else:
            result.append(document)
    for manifest in result:
        if not (manifest.get("metadata") or {}).get("name"):
            raise RenderError(f"{name}: a {manifest['kind']} has no metadata.name.")
    return result
