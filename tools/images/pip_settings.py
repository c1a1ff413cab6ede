"""This machine's settings for pip, handed to a build in a way that leaves nothing of them in the image.

A build sees neither the machine's environment nor its files. What pip is told here (an index, a folder of wheels, a
certificate) goes in as a secret file of NAME=value lines, in pip's names and in uv's, and as read-only mounts.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# pip's option to the environment variables of pip and of uv.
NAMES = {
    "index-url": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    "trusted-host": ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"),
    "timeout": ("PIP_DEFAULT_TIMEOUT", "UV_HTTP_TIMEOUT"),
    "find-links": ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
    "cert": ("PIP_CERT", "SSL_CERT_FILE"),
}
INSIDE = "/run/build"


@dataclass(frozen=True)
class PipSettings:
    """What a build is given: arguments of `buildah build`, and where torch comes from (TORCH_BACKEND)."""

    arguments: tuple[str, ...]
    torch_backend: str


def read(variables: Mapping[str, str]) -> dict[str, str]:
    """pip's options from its environment variables, as `make setup` takes them over; its files are not read."""
    found = {name: variables[pip] for name, (pip, _) in NAMES.items() if variables.get(pip)}
    if "cert" not in found and variables.get("SSL_CERT_FILE"):
        found["cert"] = variables["SSL_CERT_FILE"]
    return found


def prepare(folder: Path, variant: str, variables: Mapping[str, str] = os.environ) -> PipSettings:
    """Write the files that a build of this variant gets to `folder`, which nobody else may read."""
    options = read(variables)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "build").mkdir(parents=True)
    folder.chmod(0o700)
    arguments: list[str] = []
    if "cert" in options:
        # A copy: a mounted file would be replaced behind the mount.
        (folder / "build" / "ca.pem").write_bytes(Path(options["cert"]).read_bytes())
        options["cert"] = f"{INSIDE}/ca.pem"
        arguments += ["--volume", f"{folder / 'build'}:{INSIDE}:ro"]
    wheels: list[str] = []
    backend = variables.get("UV_TORCH_BACKEND") or ""
    for place in options.pop("find-links", "").split():
        torch = [wheel.name for wheel in Path(place).glob("torch-*.whl")] if Path(place).is_dir() else []
        # uv would take 2.13.0+cpu before the index's 2.13.0, which has CUDA.
        if variant == "gpu" and any("+cpu" in name for name in torch):
            continue
        if Path(place).is_dir():
            arguments += ["--volume", f"{place}:/run/wheels-{len(wheels)}:ro"]
            place = f"/run/wheels-{len(wheels)}"
        wheels.append(place)
        # A folder that has torch in it is meant to be taken in place of PyTorch's own index.
        backend = "index" if torch and not backend else backend
    if wheels:
        options["find-links"] = " ".join(wheels)
    lines = [f"{name}={shlex.quote(value)}" for name, value in as_variables(options).items()]
    secret = folder / "pip.env"
    secret.write_text("".join(f"{line}\n" for line in lines))
    return PipSettings(("--secret", f"id=pip.env,src={secret}", *arguments), backend)


def as_variables(options: Mapping[str, str]) -> dict[str, str]:
    """Options as environment variables of pip and of uv."""
    found = {}
    for name, value in options.items():
        pip, uv = NAMES[name]
        found[pip] = value
        # uv separates folders by commas.
        found[uv] = ",".join(value.split()) if name == "find-links" else value
    return found
