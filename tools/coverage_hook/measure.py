"""Notes which of the product's lines run in this process, for tools/coverage.py.

SlipCover puts probes into the product's modules as they are imported, and leaves all other code alone. Python 3.11 has
no cheap way to watch lines: coverage.py's tracer there sees every line of every library too, which costs a DAG run
70 % more processor time (probes: 17 %). What ran is written when the process ends, for coverage.py's report.
"""

from __future__ import annotations

import atexit
import fnmatch
import importlib.util
import json
import os
import re
import signal
import tempfile
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType

# Lines that are seen more often than this would be taken out of running code, which is not worth its trouble.
NEVER = 2**31 - 1


def start() -> None:
    """Measure this process from now on."""
    from slipcover.slipcover import Slipcover

    probes = Slipcover(d_miss_threshold=NEVER)
    product = re.compile("|".join(map(fnmatch.translate, os.environ["COVERAGE_INCLUDE"].split(os.pathsep))))
    get_code = SourceFileLoader.get_code

    def get_measured_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        code = get_code(self, fullname)
        if code is None or not product.match(str(Path(code.co_filename).absolute())):
            return code
        measured: CodeType = probes.instrument(code)
        return measured

    # Imports, `python -m` and the files of Airflow's DAGs and plugins all come this way.
    SourceFileLoader.get_code = get_measured_code  # type: ignore[assignment,method-assign]

    def save() -> None:
        seen = {str(Path(name).absolute()): sorted(lines) for name, lines in probes.newly_seen.items()}
        if seen:
            folder = Path(os.environ["COVERAGE_DATA"])
            with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json", delete=False) as file:
                json.dump(seen, file)

    def end(number: int, frame: FrameType | None) -> None:
        save()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    atexit.register(save)
    # A program that ends by SIGTERM without a handler of its own runs nothing at its exit.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


# Programs of other environments inherit the variables, and have no probes.
if importlib.util.find_spec("slipcover") is not None:
    start()
