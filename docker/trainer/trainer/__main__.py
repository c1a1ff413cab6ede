"""``python -m trainer <command>``: runs it and turns what it raises into an exit status and one paragraph."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

from trainer.errors import InputError, Terminated, TrainerError
from trainer.outputs import write_outputs
from trainer.packages import what_to_install
from trainer.settings import read_settings
from trainer.variables import without_line_breaks
from trainer.workspace import FULL, require_writable


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated


def main(argv: list[str]) -> int:
    """Run the command of ``argv``; return 0, 2 (a retry cannot help) or another status (may be retried)."""
    signal.signal(signal.SIGTERM, _terminate)
    without_line_breaks(os.environ)
    try:
        settings = read_settings(argv)
        require_writable(settings.workspace)
        # Each command brings its own weight in libraries: prepare waits for torch only where it asks Ultralytics.
        if settings.command == "prepare":
            from trainer.commands.prepare import prepare as command
        elif settings.command == "train":
            from trainer.commands.train import train as command
        else:
            from trainer.commands.evaluate import evaluate as command
        command(settings)
        write_outputs(settings)
    except TrainerError as error:
        sys.stderr.write(f"ERROR: {' '.join(str(error).split())}\n")
        return error.exit_status
    except ImportError as error:
        traceback.print_exc()
        sys.stderr.write(f"ERROR: {what_to_install(error)}\n")
        return InputError.exit_status
    except Terminated as stop:
        sys.stderr.write("ERROR: Stopped by SIGTERM. What was saved is in the workspace; a retry goes on from it.\n")
        return stop.exit_status
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in FULL:
            place = f" of {error.filename}" if error.filename else ""
            sys.stderr.write(
                f"ERROR: The file system{place} has no room. It is the workspace's volume, or the pod's own for "
                "temporary files. Make room in it, or give it a larger one; then retry.\n"
            )
            return TrainerError.exit_status
        sys.stderr.write(
            f"ERROR: {type(error).__name__}: {' '.join(str(error).split())} (the traceback is above; this "
            "is not an error that the trainer knows, so a retry may or may not help).\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
