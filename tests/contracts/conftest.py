"""Makes the modules of the images importable that need no library but numpy."""

from __future__ import annotations

import sys

from tests.contracts.sources import SHARED, TRAINER, YOLO

# Last: the names of this repository's own packages come first.
sys.path += [str(TRAINER.parent), str(SHARED), str(YOLO)]
