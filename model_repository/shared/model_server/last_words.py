"""What Kubernetes shows of a server's container that has ended: the file that the chart names.

Triton exits where its model cannot be loaded, but the end of its log, which Kubernetes shows otherwise, does not say
why.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_server.errors import one_line


def message_file() -> str:
    """Where Kubernetes reads them; empty: there is no such file."""
    return os.environ.get("TERMINATION_MESSAGE_PATH", "")


def last_words(text: str) -> None:
    """Leave this text; empty: nothing is wrong any more."""
    if path := message_file():
        with suppress(OSError):
            Path(path).write_text(text, encoding="utf-8")


@contextmanager
def code_told() -> Iterator[None]:
    """Around the imports of model.py: code that cannot be imported is told like a version that cannot be loaded."""
    try:
        yield
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        file, line, said = place.filename, place.lineno, str(error)
        if isinstance(error, SyntaxError):
            file, line, said = error.filename or file, error.lineno, error.msg
        last_words(
            f"The code of model_repository/ cannot be imported: {type(error).__name__}: {one_line(said)} "
            f"({Path(file).name}, line {line}). Mend it, or go back to the commit before it."
        )
        raise
