"""What MLflow's pages say of a registered model and its versions, in Markdown, for people.

A person's own text stays: only what begins as these do is written again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lifecycle.mlflow.runs import describe
from lifecycle.model import names

if TYPE_CHECKING:
    from mlflow.entities import Run

OF = "of the DAG"
VERSION = "Trained by"
LIVE = "Went live in"
DIGEST = 12  # characters of a digest or a commit that people compare


def of_version(run: Run, dag_run_page: str) -> str:
    """Dataset, figures and DAG run of the version that a run made; `dag_run_page`: its address, empty if not known."""
    facts = describe(run)
    trained = f"[{facts.dag_run}]({dag_run_page})" if dag_run_page else f"`{facts.dag_run}`"
    size = run.data.tags.get(names.IMAGE_SIZE, "?")
    lines = [
        f"{VERSION} {trained} on `{facts.dataset}` (digest `{facts.dataset_digest[:DIGEST]}`): "
        f"{facts.classes} classes, images of {size} pixels."
    ]
    if facts.measured:
        lines.append(f"On the test split: {facts.measured}.")
    return "\n\n".join(lines)


def live(description: str, environment: str, commit: str, since: str) -> str:
    """A version's description that also says where it went live, and when; one line an environment."""
    kept = re.sub(rf"\n*^{LIVE} `{re.escape(environment)}`.*$", "", description, flags=re.MULTILINE).rstrip()
    line = f"{LIVE} `{environment}` at {since}, by commit `{commit[:DIGEST]}`."
    return f"{kept}\n\n{line}" if kept else line


def of_model(former: str, title: str, dag: str, version: int, description: str) -> str:
    """A registered model's description, which tells of one version; a person's own is returned as it is.

    Args:
        former: what is there now.
        title: what such a model is: "YOLO detector".
        dag: id of the DAG that makes versions.
        version: the one to tell of.
        description: that version's.
    """
    if former and not former.startswith(f"{title} {OF}"):
        return former
    return f"{title} {OF} `{dag}`.\n\n**Version {version}.** {description}"
