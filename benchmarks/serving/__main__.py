"""Runs the serving benchmark: see ../README.md.

.venv/dev/bin/python -m benchmarks.serving [--quick] [--no-write] [--model FOLDER] [--variant NAME=VALUE,…]
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from benchmarks.serving.cases import (
    BARE,
    FIRST_JPEGS,
    FIXED,
    HTTP,
    JPEG,
    OURS,
    PER_PROCESSOR,
    USUAL,
    Case,
    Subject,
    cases_of,
)
from benchmarks.serving.machine import Busyness, this_machine
from benchmarks.serving.measure import FULL, QUICK, Plan, Result, run_rounds
from benchmarks.serving.pictures import Pictures, load_pictures
from benchmarks.serving.processes import BenchmarkError, Tree
from benchmarks.serving.publish import publish
from benchmarks.serving.registry import register, start_mlflow
from benchmarks.serving.report import Report
from benchmarks.serving.subjects import Bare, Measurable, Served, what_is_loaded
from benchmarks.serving.triton import ROOT, Triton, build_image

ARCHITECTURE, SIZE = "yolo11n", 640
BARE_ENGINES = (
    (BARE, "onnxruntime", "fp32"),
    *((path, "openvino", precision) for precision in ("fp32", "bf16", "int8") for path in (BARE, FIXED)),
)
# Settings of our server, tried in this order: the first is the default that is measured in full. What then really runs
# is asked of the server, and the same engine and precision are not measured twice.
VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"MODEL_ENGINE": "onnxruntime", "MODEL_PRECISION": "fp32"},
    {"MODEL_ENGINE": "openvino", "MODEL_PRECISION": "fp32"},
    {"MODEL_ENGINE": "openvino", "MODEL_PRECISION": "bf16"},
    {"MODEL_ENGINE": "openvino", "MODEL_PRECISION": "int8"},
)
# Tags of the registered version beyond those of every version. This is a benchmark of speed with an untrained network,
# so it says itself what the evaluation step says of a real one: that bf16 and INT8 cost no accuracy.
TAGS = {"precision_drop": '{"bf16": 0.0, "int8": 0.0}'}


OUR_MODEL = ROOT / "model_repository" / "yolo"


def variant_of(text: str) -> dict[str, str]:
    """Settings from the command line: `NAME=VALUE,NAME=VALUE`."""
    return dict(part.split("=", 1) for part in text.split(",") if part)


def say(line: str) -> None:
    """A line of progress, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def export(target: Path, tensors: Path, work: Path) -> dict[str, list[int]]:
    """Exports the network in the training environment; returns how many candidates it finds in each of the tensors.

    Raises:
        BenchmarkError: it fails.
    """
    python = ROOT / ".venv" / "trainer" / "bin" / "python"
    script = Path(__file__).with_name("export_model.py")
    log = work / "export.log"
    tree = Tree(
        # Without the script's folder on the path: torch would take triton.py, beside it, for its compiler.
        [str(python), "-P", str(script), str(target), ARCHITECTURE, str(tensors)],
        log,
        {"YOLO_CONFIG_DIR": str(work / "yolo")},
    )
    try:
        while tree.running:
            time.sleep(0.1)
    finally:
        tree.stop()
    if not target.exists():
        raise BenchmarkError(f"the export of {ARCHITECTURE} failed; the end of its log:\n{tree.last_words()}")
    found: dict[str, list[int]] = json.loads(tree.last_words(1))
    return found


@contextmanager
def subjects(
    model: Path, tensors: Path, pictures: Pictures, work: Path, folder: Path, variants: Sequence[dict[str, str]]
) -> Iterator[list[Measurable]]:
    """Starts everything that is measured, side by side, and ends it."""
    with ExitStack() as opened:
        started: list[Measurable] = []
        for path, engine, precision in BARE_ENGINES:
            if not this_machine().computes_in(precision):
                continue
            bare = Bare(Subject(path, engine, precision), model, tensors, work)
            opened.callback(bare.tree.stop)
            started.append(bare)
        binary = build_image(work / "image")
        usual = work / "usual"
        copy_usual(model, usual / "source")
        triton = Triton(binary, usual / "source", usual, {})
        opened.callback(triton.tree.stop)
        triton.wait_ready()
        started.append(Served(Subject(USUAL, "onnxruntime", "fp32"), triton, ["output0"], pictures))
        mlflow, uri = start_mlflow(work / "mlflow")
        try:
            names = [f"class {index}" for index in range(80)]
            registered = register(uri, model, names, SIZE, TAGS)
            say("MLflow has the model; starting our servers")
            for index, variant in enumerate(variants):
                home = work / f"ours-{index}"
                environment = registered.environment(work / "cache") | variant
                ours = start_ours(OURS, binary, folder, environment, pictures, home, opened)
                if ours.subject in [each.subject for each in started]:
                    ours.tree.stop()
                    continue
                ours.first = ours.measure_first() if JPEG in ours.inputs else None
                home = work / f"ours-{index}-per-processor"
                many = start_ours(PER_PROCESSOR, binary, folder, environment, pictures, home, opened)
                started += [ours, many]
                say(f"serving: {ours.subject} and {many.subject}, take {', '.join(ours.inputs)}")
        finally:
            mlflow.stop()
        yield started


def copy_usual(model: Path, folder: Path) -> None:
    """The usual model's folder with the ONNX file beside its model.py."""
    source = Path(__file__).with_name("usual")
    for path in ("config.pbtxt", "1/model.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((source / path).read_bytes())
    (folder / "1" / "model.onnx").write_bytes(model.read_bytes())


def start_ours(
    path: str,
    binary: Path,
    folder: Path,
    environment: Mapping[str, str],
    pictures: Pictures,
    work: Path,
    opened: ExitStack,
) -> Served:
    """Starts our model with some settings and asks what it then runs; `path`: OURS or PER_PROCESSOR."""
    triton = Triton(binary, folder, work, environment, this_machine().processors if path == PER_PROCESSOR else None)
    opened.callback(triton.tree.stop)
    triton.wait_ready()
    told = what_is_loaded(triton)
    subject = Subject(path, told["engine"], told["precision"])
    return Served(subject, triton, ["detections", "num_detections"], pictures)


def first_of(started: Sequence[Measurable]) -> dict[Case, Result]:
    """What the first requests of each of our servers took, which were sent when it was ready."""
    firsts = {
        Case(each.subject, FIRST_JPEGS, HTTP, 1): each.first
        for each in started
        if isinstance(each, Served) and each.first
    }
    return {case: Result(case, {0: measured}) for case, measured in firsts.items()}


def planned(started: list[Measurable], full: bool) -> list[Case]:
    """Every case; in full for the usual model, for our first as one instance, and for the bare engines."""
    cases: list[Case] = []
    whole = {PER_PROCESSOR}  # paths that need no case beyond those of the goals
    for each in started:
        first = each.subject.path not in whole or each.subject.path == BARE
        whole.add(each.subject.path)
        cases += cases_of(each.subject, each.inputs, full and first)
    return cases


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 1 and one paragraph on stderr where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the cases that the goals rest on")
    parser.add_argument("--model", type=Path, default=OUR_MODEL, help="folder to measure as ours (an experiment)")
    parser.add_argument(
        "--variant",
        action="append",
        type=variant_of,
        metavar="NAME=VALUE,…",
        help="settings to measure ours with, instead of each engine and precision; may be repeated; empty: the default",
    )
    parser.add_argument("--no-write", action="store_true", help="print the table, leave the files as they are")
    options = parser.parse_args(arguments)
    plan: Plan = QUICK if options.quick else FULL
    os.environ["GRPC_VERBOSITY"] = "ERROR"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # also of the bare engine and of the usual model.py
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is ended, too
    try:
        with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as folder:
            work = Path(folder)
            model = work / "model.onnx"
            say(f"exporting {ARCHITECTURE} at {SIZE}")
            pictures, tensors = load_pictures(SIZE), work / "tensors.npy"
            np.save(tensors, pictures.tensors)
            candidates = export(model, tensors, work)["candidates"]
            with subjects(model, tensors, pictures, work, options.model, options.variant or VARIANTS) as started:
                by_subject = {each.subject: each for each in started}
                busy, own = Busyness(), [each.tree for each in started]
                own_before = time.process_time() + sum(tree.cpu_seconds() for tree in own)
                results = run_rounds(by_subject, planned(started, not options.quick), plan, say) | first_of(started)
                used = time.process_time() + sum(tree.cpu_seconds() for tree in own) - own_before
                total, seconds = busy.seconds()
        command = " ".join(["python -m benchmarks.serving", *(arguments if arguments is not None else sys.argv[1:])])
        report = Report(this_machine(), command, candidates, max(0.0, total - used) / seconds, seconds, results)
    except BenchmarkError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    print(report.text())
    if not options.no_write:
        for path in publish(report):
            say(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
