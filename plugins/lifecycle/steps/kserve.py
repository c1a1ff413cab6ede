"""What is asked of a rollout where KServe runs the servers: its objects, their Deployments and pods."""

from __future__ import annotations

from typing import Any

from lifecycle.hooks.kubernetes import AsyncClusterHook
from lifecycle.model.names import APP_LABEL, COMPONENT_LABEL, KSERVE_LABEL, PIN_LABEL
from lifecycle.policy import kserve
from lifecycle.policy.application import Verdict


class Kserve:
    """One model's InferenceService.

    `new_pods` and `all_pods` are selectors of the pods that have to come, and of all of the InferenceService.
    """

    def __init__(self, hook: AsyncClusterHook, namespace: str, selector: str, version: int | str | None) -> None:
        labels = dict(part.split("=", 1) for part in selector.split(","))
        self._hook, self._namespace, self._version = hook, namespace, version
        self._app, self._model = f"{APP_LABEL}={labels[APP_LABEL]}", labels[COMPONENT_LABEL]
        self.new_pods = ""
        self.all_pods = selector

    async def look(self, verdict: Verdict) -> Verdict:
        """How the rollout stands, now that Argo CD has synced it."""
        services = await self._hook.kserve(self._namespace, "inferenceservices", self._app)
        trained = await self._hook.kserve(self._namespace, "trainedmodels", self._app)
        found = kserve.wanted(self._model, services, trained)
        deployments: list[dict[str, Any]] = []
        pods: list[dict[str, Any]] = []
        if found is not None:
            self.all_pods = f"{KSERVE_LABEL}={found.service}"
            if found.pin is None:
                self.new_pods = self.all_pods
            elif kserve.is_of(found.pin, self._version):
                self.new_pods = f"{self.all_pods},{PIN_LABEL}{self._model}={found.pin}"
            deployments = await self._hook.deployments(self._namespace, self.all_pods)
            pods = await self._hook.pods(self._namespace, self.all_pods)
        return kserve.judge_predictor(self._model, found, self._version, deployments, pods, verdict.revision)
