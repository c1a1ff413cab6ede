"""MLflow as seen from Airflow: the run of a DAG run, and the registered versions."""
