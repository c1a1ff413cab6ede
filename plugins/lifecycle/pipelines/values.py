"""The scalars of a pipeline's file that are more than text: names, durations, cron expressions, time zones."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter
from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

DNS_LABEL = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
# Airflow's presets that are a cron expression.
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = "^[1-9][0-9]*[smhd]$"

Label = Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)]
# The chart's release; Kubernetes allows 63 characters for the objects that it names after release and model.
Release = Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=53)]
ServedModel = Annotated[str, StringConstraints(pattern=MODEL_NAME, max_length=63)]
RegisteredModel = Annotated[str, StringConstraints(pattern=MODEL_NAME, max_length=200)]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]


def watchable(dataset: str) -> str | None:
    """Why Airflow cannot watch this address; None if it can."""
    parts = urlsplit(dataset)
    if parts.scheme in ("http", "https", "s3"):
        # The address is stored with the watcher, and is part of the asset that Airflow shows.
        if parts.query or parts.fragment or "@" in parts.netloc:
            return (
                "the dataset's address has a query or credentials in it, which Airflow would store and show; give an "
                "address without, and credentials as S3's or a netrc file's"
            )
        return None
    if parts.scheme not in ("", "file"):
        return f"a dataset of the scheme {parts.scheme} cannot be watched; http(s), s3, file or an absolute path can"
    if not parts.path.startswith("/"):
        return "a relative path is another one in the pods; give an absolute path that the triggerer has too"
    return None


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        raise ValueError("a duration is a whole number with s, m, h or d, such as 90s, 15m, 2h, 1d")
    return timedelta(**{UNITS[value[-1]]: int(value[:-1])})


def _cron(value: Any) -> str | None:
    if value in (None, "none"):
        return None
    if not isinstance(value, str):
        raise ValueError('a schedule is text: put the cron expression in quotes, such as "0 3 * * 0"')
    if value.startswith("@"):
        if value not in PRESETS:
            raise ValueError(f"of presets there are {', '.join(PRESETS)}; for no schedule, write none")
        return value
    if len(value.split()) != 5:
        raise ValueError("a cron expression has five fields: minute, hour, day of month, month, day of week")
    try:
        croniter(value)
    except (CroniterError, ValueError) as error:
        raise ValueError(f"this is no cron expression ({error}); 0 3 * * 0 is 3:00 on Sundays") from error
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("there is no such time zone; take a name such as UTC or Europe/Berlin") from error
    return value


def _written(value: timedelta) -> str:
    return f"{int(value.total_seconds())}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["90s", "15m", "2h", "1d"]}),
]
Schedule = Annotated[
    str | None,
    BeforeValidator(_cron),
    WithJsonSchema({"type": ["string", "null"], "examples": ["0 3 * * 0", "@weekly", "none"]}),
]
Timezone = Annotated[str, AfterValidator(_timezone)]
