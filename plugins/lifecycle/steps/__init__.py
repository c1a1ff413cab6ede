"""What a step of a pipeline decides and does, whoever runs it: a task of Airflow, or `python -m lifecycle <step>`.

Nothing in here imports Airflow. A step is told what it needs to know; who calls it knows where that comes from.
"""
