"""Airflow sensors of the lifecycle."""
