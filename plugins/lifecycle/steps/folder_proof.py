"""Proof that a model which is not made here is served from the folder that Git names: its server says so itself.

What the model answers nobody here can judge. Triton calls a model ready once its backend has loaded it, and runs its
`model_warmup` before that, if its config.pbtxt has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.steps import proof

if TYPE_CHECKING:
    from lifecycle.model.pin import Pin
    from lifecycle.model.target import Endpoint, Target


def prove_folder(target: Target, pin: Pin) -> Endpoint:
    """Ask the server until it says itself that it serves the folder, and is ready.

    Raises:
        RolloutFailed: another folder is served, or nothing answers, for as long as the setting says.
    """
    from lifecycle.verification import check_folder

    return proof.ask(target, pin, lambda url: check_folder(url, target.model, pin.uri))[0]
