"""MLflow as seen from Airflow: the run of a DAG run, the registered versions, and the way back from a server."""
