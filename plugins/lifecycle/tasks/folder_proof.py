"""Proof that a model which is not made here is served from the folder that Git names: its server says so itself.

What the model answers nobody here can judge. Triton calls a model ready once its backend has loaded it, and runs its
`model_warmup` before that, if its config.pbtxt has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from lifecycle.model.names import SOURCE_PARAMETER
from lifecycle.tasks import proof

if TYPE_CHECKING:
    from lifecycle.model.pin import Pin
    from lifecycle.model.target import Endpoint, Target

SECONDS = 20


def prove_folder(target: Target, pin: Pin) -> Endpoint:
    """Ask the server until it says itself that it serves the folder, and is ready.

    Raises:
        RolloutFailed: another folder is served, or nothing answers, for as long as the setting says.
    """
    return proof.ask(target, pin, lambda url: check_folder(url, target.model, pin.uri))[0]


def check_folder(url: str, model: str, uri: str) -> None:
    """Check which folder a server has its model from.

    Raises:
        ServingUnavailable: nothing answers at the address, or the model is not ready.
        WrongVersionServed: it is served from another folder.
    """
    from lifecycle.verification import ServingUnavailable, WrongVersionServed

    try:
        _get(f"{url}/v2/models/{model}/ready")
        found = served_folder(_get(f"{url}/v2/models/{model}/config").json())
    except (requests.RequestException, ValueError) as error:
        raise ServingUnavailable(f"{model} is not ready at {url}: {error}") from error
    if found != uri.rstrip("/"):
        raise WrongVersionServed(
            f"{url} serves {model} from {found or 'a folder that it does not name'}, but {uri} is expected: the "
            "rollout has not reached this address, or the values file was changed since"
        )


def served_folder(config: dict[str, Any]) -> str:
    """The folder that Triton's configuration of a model names; empty: it names none."""
    return str((config.get("parameters") or {}).get(SOURCE_PARAMETER, {}).get("string_value", ""))


def _get(address: str) -> requests.Response:
    answer = requests.get(address, timeout=SECONDS)
    answer.raise_for_status()
    return answer
