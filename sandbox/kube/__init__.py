"""A small Kubernetes on loopback: API server, kubelet (containers are local processes) and controllers."""
