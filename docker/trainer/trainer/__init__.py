"""The training image: prepare a dataset, train a YOLO detector on it, evaluate what will be served.

The only part of the project that imports Ultralytics (AGPL-3.0). Run as ``python -m trainer <command>``.
"""
