"""Airflow operators of the lifecycle: thin, over the rest of this package."""
