"""Volumes as real folders, and the rewriting of mount paths to them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sandbox.kube.node.references import ConfigError, Environment
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Object


class MountError(Exception):
    """A volume cannot be set up yet (FailedMount); the pod waits and tries again."""


class Volumes:
    """The volumes of one pod: ``folder`` is the pod's own, ``claims`` holds what outlives pods."""

    def __init__(self, pod: Object, environment: Environment, folder: Path, claims: Path) -> None:
        self.pod = pod
        self.environment = environment
        self.folder = folder
        self.claims = claims
        self.paths: dict[str, Path] = {}

    def prepare(self) -> None:
        """Make every volume of the pod. Raises MountError naming the volume and what is missing."""
        for volume in self.pod["spec"].get("volumes", []):
            try:
                self.paths[volume["name"]] = self._make(volume)
            except (ConfigError, OSError) as error:
                raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error

    def _make(self, volume: Object) -> Path:
        if "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
            if self.environment.store.find(kinds.CLAIM, self.environment.namespace, name) is None:
                raise ConfigError(f'persistentvolumeclaim "{name}" not found')
            return claim_folder(self.claims, self.environment.namespace, name)
        path = self.folder / volume["name"]
        path.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            source = volume["configMap"]
            self._write(path, self._data(source, "name"), source)
        elif "secret" in volume:
            source = volume["secret"]
            self._write(path, self._data(source, "secretName"), source)
        elif "downwardAPI" in volume:
            source = volume["downwardAPI"]
            items = source.get("items", [])
            data = {item["path"]: self.environment.field(item["fieldRef"]["fieldPath"]).encode() for item in items}
            self._write(path, data, {"defaultMode": source.get("defaultMode", 0o644)})
        return path

    def _data(self, source: Object, name: str) -> dict[str, bytes]:
        kind = kinds.SECRET if name == "secretName" else kinds.CONFIG_MAP
        data = self.environment.data(kind, source[name], bool(source.get("optional"))) or {}
        if not source.get("items"):
            return data
        for item in source["items"]:
            if item["key"] not in data and not source.get("optional"):
                raise ConfigError(f"references non-existent {kind.singular} key: {item['key']}")
        return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}

    @staticmethod
    def _write(path: Path, data: dict[str, bytes], source: Object) -> None:
        modes = {item["path"]: item["mode"] for item in source.get("items", []) if "mode" in item}
        for name, content in data.items():
            file = path / name
            if path not in file.resolve().parents:
                raise ConfigError(f"path {name!r} leads out of the volume")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(int(modes.get(name) or source.get("defaultMode", 0o644)))

    def mounts(self, container: Object) -> dict[str, Path]:
        """mountPath → real folder (or file, for a subPath that names one) of one container."""
        result = {}
        for mount in container.get("volumeMounts", []):
            mount_path = mount["mountPath"].rstrip("/")
            if mount_path == "/dev/shm":
                # Shared memory works by name through the machine's own /dev/shm.
                continue
            real = self.paths[mount["name"]] / mount.get("subPath", "")
            if not real.exists():
                real.mkdir(parents=True)
            result[mount_path] = real
        return result


def claim_folder(claims: Path, namespace: str, name: str) -> Path:
    """The folder of a PersistentVolumeClaim, made when it is not there."""
    folder = claims / namespace / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_claim(claims: Path, namespace: str, name: str) -> None:
    """Delete a claim's data, as a dynamically provisioned volume with reclaim policy Delete would."""
    shutil.rmtree(claims / namespace / name, ignore_errors=True)


class PathRewriter:
    """Replaces mount paths by real ones in a container's command, args, environment values and working directory.

    A mount path matches where it stands as a whole path or as the beginning of one, so ``/models`` matches in
    ``--repository=/models/a`` and ``file:///models``, not in ``/models2`` or ``/my/models``. The longest mount wins.
    """

    def __init__(self, mounts: dict[str, Path]) -> None:
        self.mounts = mounts
        choices = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
        self._pattern = re.compile(rf"(?:(?<![\w./~-])|(?<=://))(?:{choices})(?![\w.-])") if mounts else None

    def __call__(self, text: str) -> str:
        """``text`` with every mount path replaced."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: str(self.mounts[match[0]]), text)
