"""What the Kubernetes API tells: Services, serving pods, Applications."""
