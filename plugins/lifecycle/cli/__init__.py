"""`python -m lifecycle <command>`: a pipeline's steps, its workflow and questions about what is live, without Airflow.

The commands import nothing of Airflow, and need none.
"""
