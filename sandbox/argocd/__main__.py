"""``python -m sandbox.argocd --kubeconfig FILE --root DIR``: run until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from sandbox.argocd.application.controller import Applications
from sandbox.argocd.appset.controller import ApplicationSets
from sandbox.argocd.cluster.kube import KubeApi
from sandbox.argocd.errors import ApiError
from sandbox.argocd.render.gitrepo import GitCache

log = logging.getLogger("argocd")


async def reconcile(controller: Applications | ApplicationSets, pause: float) -> None:
    """One controller's rounds, ``pause`` seconds apart; what the API server refuses is logged and tried again."""
    while True:
        try:
            await controller.tick()
        except ApiError as error:
            log.warning("%s", error)
        await asyncio.sleep(pause)


async def run(kubeconfig: Path, root: Path, poll: float, pause: float, namespace: str = "argocd") -> None:
    """Reconcile until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    git = GitCache(root)
    async with KubeApi(kubeconfig) as api:
        apps = Applications(api, git, namespace, poll)
        log.info("reconciling Applications and ApplicationSets in namespace %s; git every %.0f s", namespace, poll)
        # Apart, so that a repository that does not answer holds up nothing else.
        loops = [
            asyncio.create_task(reconcile(each, pause)) for each in (ApplicationSets(api, git, namespace, poll), apps)
        ]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, *loops):
            task.cancel()
        await asyncio.gather(stopped, *loops, return_exceptions=True)
        await apps.close()
        for task in done & set(loops):
            task.result()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.argocd", description="The sandbox's stand-in for Argo CD")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="which API server to work against")
    parser.add_argument("--root", type=Path, required=True, help="folder for mirrors and checkouts")
    parser.add_argument("--poll-seconds", type=float, default=120.0, help="how often git is fetched unasked")
    parser.add_argument("--round-seconds", type=float, default=0.5, help="how long to pause between two rounds")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(run(args.kubeconfig, args.root, args.poll_seconds, args.round_seconds))


if __name__ == "__main__":
    main()
