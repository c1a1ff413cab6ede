"""The controllers: ReplicaSets, Deployments, Services and their proxies, deletion."""
