"""Delivery by merge request."""
