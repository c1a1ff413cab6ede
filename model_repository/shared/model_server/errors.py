"""The two kinds of failure: the model cannot be loaded, or one request cannot be answered."""


class LoadError(Exception):
    """The model cannot become ready. The message is one line: what happened, to what, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class RequestError(Exception):
    """One request cannot be answered; the others are. The message goes to the client that sent it."""


def one_line(text: object) -> str:
    """The text without line breaks and repeated blanks, so that one event stays one line of the log."""
    return " ".join(str(text).split())
