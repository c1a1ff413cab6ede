"""``python -m sandbox.kube``: run the small Kubernetes until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox.kube.cluster import Cluster
from sandbox.kube.http import kubeconfig
from sandbox.kube.http.api import Api
from sandbox.kube.node.images import ImageError, Images


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for kubeconfig, logs, volumes and pods")
    parser.add_argument(
        "--repository-root", type=Path, required=True, help="what relative folders in --images are below"
    )
    parser.add_argument("--images", type=Path, help="image name → environment (default: sandbox/images.yaml)")
    parser.add_argument("--port", type=int, default=0, help="port of the API on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--backoff", type=float, default=2.0, help="seconds before the second restart of a container, then doubling"
    )
    return parser.parse_args()


def read_images(options: argparse.Namespace) -> Images:
    """The images file. Raises ImageError when it cannot be used."""
    repository = options.repository_root.resolve()
    home = Path(os.environ.get("SANDBOX_HOME") or repository / ".sandbox").resolve()
    images = Images((options.images or repository / "sandbox" / "images.yaml").resolve(), repository, home)
    images.load()
    return images


async def serve(root: Path, images: Images, port: int, backoff: float) -> None:
    """Run until a signal arrives, then end every container."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = Cluster(root, images, backoff)
    secret = secrets.token_urlsafe(24)
    runner = web.AppRunner(Api(cluster, secret).application(), access_log=None, shutdown_timeout=1)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        bound = runner.addresses[0][1]
        kubeconfig.write(root / "kubeconfig", f"http://127.0.0.1:{bound}/{secret}")
        sys.stdout.write(f"kube: ready on 127.0.0.1:{bound}, KUBECONFIG={root / 'kubeconfig'}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await cluster.close()
        await runner.cleanup()


def main() -> int:
    """Exit 0 after a signal, 1 when it cannot start."""
    try:
        options = arguments()
        root = options.root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        asyncio.run(serve(root, read_images(options), options.port, options.backoff))
    except (OSError, ImageError) as error:
        sys.stderr.write(f"kube: cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
