"""The API server: routes, requests, discovery, tables for kubectl, watches, logs, the kubeconfig."""
