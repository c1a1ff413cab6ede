"""Two versions side by side, as a person sees them who decides whether one goes to the next stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NOTHING = "–"


@dataclass(frozen=True)
class Shown:
    """What is told of one version: its number, and what MLflow knows of the run that made it."""

    version: int
    run_id: str
    figures: Mapping[str, float | None]
    dataset: str
    dataset_digest: str
    dag_run: str


def side_by_side(new: Shown, live: Shown | None, source: str, to: str) -> str:
    """Markdown: a table with a column a version, and under it what each one's server said of pictures.

    Args:
        new: what is to go on.
        live: what answers there now; None: nothing.
        source: the environment that it comes from.
        to: the one that it goes to.
    """
    former = "nothing is live" if live is None else f"version {live.version}"
    rows = [
        *(
            (name, _number(value), _number(live.figures.get(name) if live else None))
            for name, value in new.figures.items()
        ),
        ("dataset", _dataset(new), _dataset(live)),
        ("DAG run", _code(new.dag_run), _code(live.dag_run if live else "")),
        ("MLflow run", _code(new.run_id), _code(live.run_id if live else "")),
        ("answers", _picture(new), _picture(live)),
    ]
    lines = [f"| | from {source}: version {new.version} | live in {to}: {former} |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {first} | {second} |" for name, first, second in rows)])


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _dataset(shown: Shown | None) -> str:
    return NOTHING if shown is None else f"{_code(shown.dataset)} {shown.dataset_digest[:12]}"


def _code(text: str) -> str:
    plain = text.replace("`", "").replace("|", "").strip()
    return f"`{plain}`" if plain else NOTHING


def _picture(shown: Shown | None) -> str:
    # Relative to Airflow's base URL; `lifecycle.ui` serves it to whoever is logged in.
    return NOTHING if shown is None else f"![version {shown.version}](lifecycle/picture?run_id={shown.run_id})"
