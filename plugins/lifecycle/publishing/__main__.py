"""`python -m lifecycle.publishing`: lists the published folders that no environment pins, and deletes them."""

from __future__ import annotations

import argparse
import sys

from lifecycle.errors import LifecycleError
from lifecycle.publishing.store import Store
from lifecycle.publishing.unused import unused
from lifecycle.settings import settings


def main(argv: list[str]) -> int:
    """Run it; return 0, or 1 after an error, which is one paragraph on stderr."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle.publishing", description=__doc__)
    parser.add_argument("--url", default="", help="s3://<bucket>/<folder> (default: LIFECYCLE_PUBLISH_URL)")
    parser.add_argument("--keep", type=int, default=3, help="newest folders of each registered model to keep as well")
    parser.add_argument("--delete", action="store_true", help="delete what is listed; without it, nothing is")
    options = parser.parse_args(argv)
    try:
        store = Store(options.url or settings().publish_url)
        found = unused(store, options.keep)
        for each in found:
            sys.stdout.write(f"{each.uri}{'' if each.complete else ' (incomplete)'}\n")
            if options.delete:
                store.delete(each)
    except LifecycleError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    done = "deleted" if options.delete else "not pinned by any environment; nothing was deleted (--delete does)"
    sys.stdout.write(f"{len(found)} folders {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
