"""The Airflow side of the model lifecycle: hooks to the outside, thin operators, sensors."""
