"""Starts and stops the sandbox: real Airflow and MLflow, a bare git repository, and the two stand-ins."""
