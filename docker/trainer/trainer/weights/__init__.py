"""Weights to start from: what ``--model`` names, checked, and kept in the workspace by its SHA-256."""
