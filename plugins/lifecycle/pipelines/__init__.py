"""A detector as a file: what `dags/pipelines/<name>.yaml` may say, and how it is read."""

from lifecycle.pipelines.files import load
from lifecycle.pipelines.spec import Pipeline, Stage

__all__ = ["Pipeline", "Stage", "load"]
