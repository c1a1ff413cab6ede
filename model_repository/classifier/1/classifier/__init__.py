"""The task `classify`: what a classifier takes and gives."""
