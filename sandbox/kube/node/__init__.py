"""The one node: pods and their containers as local processes, probes, volumes, logs, addresses."""
