"""What is measured, each in a process of its own: ``python -m benchmarks.datasets.subjects SUBJECT ROOT WORKSPACE``.

Prints seconds and the megabytes that the process grew by, beyond what its imports take.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker" / "trainer"))


def ultralytics(root: Path, workspace: Path) -> Callable[[], object]:
    """Ultralytics' scan: what every training begins with, without its cache of an earlier one."""
    from trainer import runtime

    runtime.start(workspace)
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(root / "data.yaml"), autodownload=False)
    for cache in root.rglob("*.cache"):
        cache.unlink()
    return lambda: [
        YOLODataset(img_path=data[split], data=data, task="detect", augment=False) for split in ("train", "val", "test")
    ]


def prepare(root: Path, workspace: Path) -> Callable[[], object]:
    """What `prepare` does with a dataset that the workspace does not have: check all, hash all, copy all."""
    from trainer.datasets.cache import materialise
    from trainer.tasks.detect.labelling import BOXES

    return lambda: materialise(str(root), workspace, BOXES)


def open_copy(root: Path, workspace: Path) -> Callable[[], object]:
    """What `train` and `evaluate` do with the workspace's copy."""
    from trainer.datasets.cache import materialise
    from trainer.tasks.detect.labelling import BOXES

    (digest,) = (path.name for path in (workspace / "datasets").iterdir())
    return lambda: materialise(str(root), workspace, BOXES, expected=digest)


SUBJECTS = {"ultralytics": ultralytics, "prepare": prepare, "prepare again": prepare, "open": open_copy}


def _resident(key: str) -> float:
    """Megabytes: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def main() -> None:
    subject, root, workspace = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with contextlib.redirect_stdout(io.StringIO()):
        action = SUBJECTS[subject](root, workspace)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the most from here on
        started, used = time.monotonic(), time.process_time()
        kept = action()
        seconds, processor = time.monotonic() - started, time.process_time() - used
    grown = _resident("VmHWM") - before
    del kept
    print(json.dumps({"seconds": seconds, "cpu_seconds": processor, "megabytes": grown}))


if __name__ == "__main__":
    main()
