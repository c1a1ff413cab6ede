"""Serves one version from MLflow on Triton's Python backend, whatever its task: what is behind each model.py.

`initialize` finds the version that the model's parameters or the environment name, downloads and verifies it, and warms
it up: only then is the model ready. `execute` spreads the images that Triton hands over together over the threads. What
it takes and gives is in config.pbtxt.
"""

import json
import time
from typing import Any, ClassVar

import numpy as np
import triton_python_backend_utils as pb_utils

from model_server.answers import answers_of
from model_server.artifact import cache_of, load_artifact, load_sibling
from model_server.choose import choose
from model_server.cpu import threads_of
from model_server.crash_watch import CrashWatch
from model_server.engine import Engine
from model_server.errors import LoadError, RequestError, one_line
from model_server.gpu import Gpu
from model_server.instances import instances_of
from model_server.last_words import last_words
from model_server.memory import keep_freed_memory
from model_server.metrics import Metrics
from model_server.onnx_metadata import read_metadata
from model_server.request import Floats, Job
from model_server.settings import read_settings
from model_server.start import Source, start
from model_server.task import Loaded, Task, check_task

DEFAULT_SIZE = 640
# What <model> is called that the public names lead to: the log and the metrics are about <model>.
ENGINE_SUFFIX = "_engine"


class ServedModel:
    """One instance of the model, in a separate process. A template's model.py derives from it and names its task."""

    task: ClassVar[type[Task]]

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the version; raises with one line where that cannot be done, and the model does not become ready."""
        keep_freed_memory()
        self._title = args["model_name"].removesuffix(ENGINE_SUFFIX)
        self._metrics: Metrics | None = None
        self._engine: Engine | None = None
        self._crash_watch: CrashWatch | None = None
        try:
            self._load(json.loads(args["model_config"]), args["model_instance_name"], _device(args))
            last_words("")
        except LoadError as error:
            last_words(f"{self._title} is not ready: {error}")
            pb_utils.Logger.log_error(f"{self._title} is not ready: {error}")
            raise pb_utils.TritonModelException(str(error)) from None

    def finalize(self) -> None:
        """Takes the model's series out of Triton's metrics, which would otherwise still tell it as loaded."""
        self._metrics = None
        if self._crash_watch:
            self._crash_watch.close()
        if self._engine:
            self._engine.close()
            self._instances.leave()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers the requests, each with a response or an error of its own, in their order."""
        with self._instances.at_work():
            return self._answered(requests)

    def _answered(self, requests: list[Any]) -> list[Any]:
        assert self._engine, "Triton asks only a model that was loaded"
        responses: list[Any] = [None] * len(requests)
        jobs: dict[int, Job] = {}
        for index, request in enumerate(requests):
            if set(request.requested_output_names()) == {"model_info"}:
                responses[index] = pb_utils.InferenceResponse([pb_utils.Tensor("model_info", self._info[None])])
                continue
            try:
                jobs[index] = self._job(request)
            except RequestError as error:
                responses[index] = self._failure(str(error), "INVALID_ARG")
        for index, answer in zip(jobs, answers_of(self._engine, list(jobs.values())), strict=True):
            if isinstance(answer, RequestError):
                responses[index] = self._failure(str(answer), "INVALID_ARG")
            elif isinstance(answer, Exception):
                pb_utils.Logger.log_error(f"{self._title}: inference failed: {one_line(answer)}")
                responses[index] = self._failure(f"inference failed: {one_line(answer)}", "INTERNAL")
            else:
                responses[index] = self._response(requests[index], answer)
        return responses

    def _load(self, config: dict[str, Any], instance: str, device: int) -> None:
        started = time.perf_counter()
        settings = read_settings(config)
        content, record = load_artifact(settings, self._log)
        fetched = time.perf_counter()
        metadata = read_metadata(content)
        check_task(self.task, metadata.task, f"{record.name!r} version {record.version}")
        instances = sum(group.get("count", 1) for group in config.get("instance_group", [])) or 1
        threads = threads_of(settings.threads, instances)
        size = record.image_size or metadata.image_size or DEFAULT_SIZE
        source = Source(
            content,
            metadata,
            fetch=lambda sibling: load_sibling(settings, sibling, self._log),
            gpu=lambda: Gpu(device, cache_of(settings).engines(record.sha256)),
            shapes=settings.shapes,
            expected=metadata.expected(size),
            check=self.task.check_output,
        )
        choices = choose(settings, record, self._log)
        most = config.get("max_batch_size") or 1
        engine, once = start(source, choices, threads, lambda: self._instances.alone, most, self._log)
        self._engine = engine
        self._instances = instances_of(self._title, instance, instances, self._log)
        class_names = record.class_names or metadata.class_names
        self._task = self.task(Loaded(settings, metadata, class_names, size, engine.output))
        self._inputs = [each["name"] for each in config["input"]]
        info = {
            "task": self.task.name,
            "name": record.name,
            "version": record.version,
            "run_id": record.run_id,
            "sha256": record.sha256,
            "code_commit": settings.code_commit,
            "class_names": class_names,
            "image_size": size,
            "height": metadata.fixed[1],
            "width": metadata.fixed[2],
            "engine": engine.choice.engine,
            "precision": engine.choice.precision,
            **self._task.info,
        }
        self._info = np.frombuffer(json.dumps(info).encode(), np.uint8)
        self._metrics = Metrics(pb_utils, self._title, info)
        if settings.on_crash == "exit":
            self._crash_watch = CrashWatch(self._title, self._log)
        pb_utils.Logger.log_info(
            f"{self._title} serves {record.name!r} version {record.version} with {engine.choice} on "
            f"{threads.alone} threads: found in {fetched - started:.2f} s, loaded in "
            f"{time.perf_counter() - fetched:.2f} s, {once * 1000:.1f} ms an image of "
            f"{source.expected[0][1]}x{source.expected[0][0]}"
        )

    def _log(self, line: str) -> None:
        pb_utils.Logger.log_info(f"{self._title}: {line}")

    def _job(self, request: Any) -> Job:
        found = ((name, pb_utils.get_input_tensor_by_name(request, name)) for name in self._inputs)
        given = {name: tensor.as_numpy() for name, tensor in found if tensor is not None}
        return self._task.job(given, request.parameters())

    def _failure(self, message: str, reason: str) -> Any:
        if self._metrics:
            self._metrics.error(reason)
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, getattr(pb_utils.TritonError, reason)))

    def _response(self, request: Any, answers: list[Floats]) -> Any:
        wanted = request.requested_output_names()
        outputs = self._task.outputs(answers, wanted)
        if "model_info" in wanted:
            outputs["model_info"] = np.tile(self._info, (len(answers), 1))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in outputs if name in wanted])


def _device(args: dict[str, str]) -> int:
    """The GPU that Triton gave this instance; the first one where it was given none."""
    return int(args["model_instance_device_id"]) if args.get("model_instance_kind") == "GPU" else 0
