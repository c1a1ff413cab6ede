"""What the pod's Secret put into the environment."""

from __future__ import annotations

from collections.abc import MutableMapping

from trainer.progress import say

# Of MLflow's client and of the stores that it reaches by itself.
PREFIXES = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_")


def without_line_breaks(environment: MutableMapping[str, str]) -> None:
    """Leave out the line break that a value ends with, where it was stored with one (`echo token | base64`).

    No address and no password has one, and MLflow's client would send it: as an invalid header, or a wrong password.
    """
    for name, value in list(environment.items()):
        text = value.rstrip("\r\n")
        if name.startswith(PREFIXES) and text != value:
            environment[name] = text
            say(f"{name} ends with a line break, which was left out. Store it in the Secret without one")
