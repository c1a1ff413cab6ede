"""The steps: bases by mmdebstrap, images by buildah, and each image's own word on whether it works."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tools.images.catalogue import (
    BASES,
    HEALTH,
    IMAGES,
    PACKAGES,
    ROOT,
    SUITE,
    Image,
    base_chain,
    base_folder,
    base_tag,
)
from tools.images.errors import ImageError
from tools.images.pip_settings import NAMES, PipSettings, prepare
from tools.images.store import Store, execute

Say = Callable[[str], None]
NEEDED = ("buildah", "mmdebstrap")
# A build of all takes about as much for a while.
FREE_GB = 15
# What would tell where this machine gets its packages.
OURS = {name for option in ("index-url", "extra-index-url", "find-links") for name in NAMES[option]}
LABELS = ("title", "description", "source", "revision", "version", "licenses")


def check_machine(home: Path) -> None:
    """Refuse what cannot work.

    Raises:
        ImageError: a program, the rights or the room is missing; the message is one line that says how to get it.
    """
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise ImageError(f"{' and '.join(missing)} not found: run `make images-tools` as root (Debian).")
    if os.geteuid() != 0:
        raise ImageError("building a Debian system and images here takes root: run `sudo make images`.")
    near = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(near).free / 1e9
    if free < FREE_GB:
        raise ImageError(f"{near} has {free:.0f} GB free and {FREE_GB} are needed: set IMAGES_HOME to a larger place.")


def chosen(names: Iterable[str], variant: str) -> list[Image]:
    """The images that are asked for, or all that have the variant.

    Raises:
        ImageError: there is no such image, or not in this variant.
    """
    wanted, known = list(names), {image.name: image for image in IMAGES}
    for name in wanted:
        if name not in known:
            raise ImageError(f"there is no image {name!r}; there are {', '.join(known)}.")
        if variant not in known[name].variants:
            raise ImageError(f"the image {name} has no variant {variant}, only {', '.join(known[name].variants)}.")
    return [image for image in IMAGES if (image.name in wanted if wanted else variant in image.variants)]


def build_all(store: Store, images: list[Image], variant: str, local_bases: bool, say: Say) -> int:
    """Build the images and run their health commands; how many of them failed. One failure does not stop the others."""
    settings = prepare(store.tmp / "pip", variant)
    failed: list[str] = []
    unusable: set[str] = set()
    for name in BASES if local_bases else ():
        wanted = any(name in base_chain(image.base) for image in images)
        if wanted and unusable.isdisjoint(base_chain(name)):
            whole = attempt(f"base {name}", partial(base, store, name, settings), say)
            unusable |= set() if whole else {name}
    for image in images:
        if not unusable.isdisjoint(base_chain(image.base)):
            say(f"{'build ' + image.name:<16} not tried, because its base failed")
            failed.append(image.name)
            continue
        building = partial(build, store, image, variant, local_bases, settings)
        whole = attempt(f"build {image.name}", building, say)
        whole = whole and attempt(f"health {image.name}", partial(health, store, image, variant), say)
        failed += [] if whole else [image.name]
    return len(failed)


def attempt(step: str, action: Callable[[], list[str]], say: Say) -> bool:
    """Do a step and print one line with its seconds, and below it what else it has to tell; whether it worked."""
    start = time.monotonic()
    try:
        first, *more = action()
    except ImageError as error:
        say(f"{step:<16} FAILED after {time.monotonic() - start:.1f} s: {error}")
        return False
    say(f"{step:<16} {first:<56} {time.monotonic() - start:6.1f} s")
    for line in more:
        say(f"    {line}")
    return True


def base(store: Store, name: str, settings: PipSettings) -> list[str]:
    """Make a stand-in for a base."""
    folder, below = base_folder(name), BASES[name]
    if below is None:
        folder = rootfs(store, folder)
    arguments = ["--file", str(base_folder(name) / "Dockerfile")]
    arguments += ["--build-arg", f"BASE={base_tag(below)}", *settings.arguments] if below else []
    store.run(f"base-{name}", *common(store), *arguments, "--tag", base_tag(name), str(folder))
    return [f"{base_tag(name)}, {store.size(base_tag(name))}"]


def rootfs(store: Store, folder: Path) -> Path:
    """A context with a small Debian system in it, by mmdebstrap; made once for each list of packages."""
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    context = store.home / f"rootfs-{key}"
    archive = context / "rootfs.tar"
    if not archive.exists():
        context.mkdir(exist_ok=True)
        part = context / "part.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        command += [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
        execute([*command, SUITE, str(part)], store.logs / "mmdebstrap.log", store.tmp)
        part.replace(archive)
    shutil.copy(folder / "Dockerfile", context)
    return context


def common(store: Store) -> list[str]:
    """How every build is called. Docker's format, since OCI's has no HEALTHCHECK."""
    return ["build", "--isolation", "chroot", "--format", "docker", *store.layers]


def tag(image: Image, variant: str) -> str:
    """The local name of an image."""
    return f"localhost/yolo-{image.name}:{version()}{'-gpu' if variant == 'gpu' else ''}"


def version() -> str:
    """The repository's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def revision() -> str:
    """The commit that is checked out, and whether it is all."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if not done.returncode else ""

    return (git("rev-parse", "HEAD") or "unknown") + ("-modified" if git("status", "--porcelain") else "")


def build(store: Store, image: Image, variant: str, local_bases: bool, settings: PipSettings) -> list[str]:
    """Build an image from its Dockerfile, with its pinned requirement files."""
    values = {"VARIANT": variant} if len(image.variants) > 1 else {}
    values |= {"REVISION": revision(), "VERSION": version()}
    if local_bases:
        values["BASE"] = base_tag(image.base)
    if image.name == "trainer" and settings.torch_backend:
        values["TORCH_BACKEND"] = settings.torch_backend
    arguments = [item for name, value in values.items() for item in ("--build-arg", f"{name}={value}")]
    arguments += ["--file", str(image.dockerfile), "--ignorefile", str(image.ignorefile), *settings.arguments]
    store.run(
        f"build-{image.name}", *common(store), *arguments, "--tag", tag(image, variant), str(ROOT / image.context)
    )
    return [f"{tag(image, variant)}, {store.size(tag(image, variant))}"]


def health(store: Store, image: Image, variant: str) -> list[str]:
    """Look at the image's configuration and run its health command, as its own user and with no capability.

    Raises:
        ImageError: it runs as another user than the charts do, a label is missing, settings of this machine are in it,
            or its health command says that something is wrong.
    """
    name = tag(image, variant)
    config = store.config(name)
    labels = config.get("Labels") or {}
    wrong = [f"has no label {label}" for label in LABELS if not labels.get(f"org.opencontainers.image.{label}")]
    if config.get("User") != image.user:
        wrong.append(f"runs as user {config.get('User')!r} and not {image.user!r}")
    environment = {each.partition("=")[0] for each in config["Env"]}
    wrong += [f"has {each} in its environment" for each in sorted(environment & OURS)]
    if wrong:
        raise ImageError(f"{name} {'; '.join(wrong)}.")
    container = f"health-{image.name}"
    store.run(container, "from", "--name", container, name)
    try:
        said = store.run(container, "run", "--isolation", "chroot", "--cap-drop", "all", container, "--", HEALTH)
    finally:
        store.run(f"{container}-end", "rm", container)
    lines = [line for line in said.splitlines() if line.strip()]
    return [lines[-1], *lines[:-1]]
