"""`python3 -m tools.images build|clean|tools`, as the Makefile calls it.

Environment: IMAGES (names, default all), VARIANT (cpu or gpu), IMAGES_HOME (where everything is kept, default .images),
IMAGES_BASES (local: made here by mmdebstrap; registry: those that the Dockerfiles name, which are pulled).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from tools.images.build import NEEDED, build_all, check_machine, chosen
from tools.images.catalogue import ROOT, VARIANTS
from tools.images.errors import ImageError
from tools.images.store import Store


def say(line: str) -> None:
    """One line for the person who waits."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """An environment variable that has a few values, the first of which is the default."""
    value = os.environ.get(name) or allowed[0]
    if value not in allowed:
        raise ImageError(f"{name} is {value!r} and must be {' or '.join(allowed)}.")
    return value


def build(store: Store) -> int:
    """Build what is asked for; 1 if any image failed."""
    variant = choice("VARIANT", VARIANTS)
    local = choice("IMAGES_BASES", ("local", "registry")) == "local"
    images = chosen((os.environ.get("IMAGES") or "").split(), variant)
    check_machine(store.home)
    store.open()
    try:
        failed = build_all(store, images, variant, local, say)
    finally:
        store.close()
    say(f"{len(images) - failed} of {len(images)} images are built and healthy; all of it is in {store.home}")
    return 1 if failed else 0


def tools() -> int:
    """Install what is needed."""
    if os.geteuid() != 0:
        raise ImageError("installing packages takes root: run `sudo make images-tools`.")
    for command in (["update", "-qq"], ["install", "--yes", "--no-install-recommends", *NEEDED]):
        if subprocess.run(["apt-get", *command]).returncode:
            raise ImageError(f"`apt-get {' '.join(command)}` failed; what it says is above.")
    return 0


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one command; what a person can mend is one paragraph on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.images", description=__doc__)
    parser.add_argument("command", choices=("build", "clean", "tools"))
    command = parser.parse_args().command
    # Ended from outside, it takes away its containers and mounts as when it is interrupted.
    signal.signal(signal.SIGTERM, _terminate)
    store = Store(Path(os.environ.get("IMAGES_HOME") or ROOT / ".images").absolute())
    try:
        if command == "build":
            return build(store)
        if command == "tools":
            return tools()
        store.delete()
    except ImageError as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nimages: interrupted. Containers and mounts are gone; the layers so far are kept.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
