"""The connections to the outside, one module each: MLflow, the Kubernetes API, the GitOps repository."""
