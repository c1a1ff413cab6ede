"""Airflow's entry for the pipeline of the same name: all that it does is in the `.yaml` beside it."""

from lifecycle.wiring import pipeline_dag

dag = pipeline_dag(__file__)
