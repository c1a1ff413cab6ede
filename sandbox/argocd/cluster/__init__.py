"""The Kubernetes API as Argo CD uses it, and what is live beside what Git wants."""
