"""Weights to start from: found by what ``--model`` names, kept in the workspace by their SHA-256, checked before use."""
