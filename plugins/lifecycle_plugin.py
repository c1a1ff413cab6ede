"""What Airflow loads from this folder: the page that shows which version of each model is live."""

from lifecycle.ui.plugin import LifecyclePlugin

__all__ = ["LifecyclePlugin"]
