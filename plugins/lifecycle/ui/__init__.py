"""The page "Models" in Airflow's navigation: what is live, where it came from, and the way back in one click."""
