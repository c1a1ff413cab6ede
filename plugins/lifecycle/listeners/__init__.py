"""What Airflow calls when the state of a DAG run changes."""
