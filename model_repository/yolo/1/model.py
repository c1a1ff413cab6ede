"""A detector: what Triton's Python backend calls. Beside this file lie, in a pod, the packages of ../../shared."""

import sys
from pathlib import Path

# Python's cache files in this folder would make Triton's poll mode load the model again; for model.py itself, which is
# compiled before this line runs, see the file __pycache__.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from model_server.last_words import code_told  # noqa: E402

with code_told():
    from detector.task import Detection
    from model_server.served import ServedModel


class TritonPythonModel(ServedModel):
    """One instance of a detector."""

    task = Detection
