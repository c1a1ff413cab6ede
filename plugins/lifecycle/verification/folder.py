"""Asks a server from which folder it has a model that is not made here."""

from __future__ import annotations

from typing import Any

import requests

from lifecycle.errors import ServingUnavailable, WrongVersionServed
from lifecycle.model.names import SOURCE_PARAMETER

SECONDS = 20


def check_folder(url: str, model: str, uri: str) -> None:
    """Check which folder a server has its model from.

    Raises:
        ServingUnavailable: nothing answers at the address, or the model is not ready.
        WrongVersionServed: it is served from another folder.
    """
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
