"""From a repository and a revision to manifests: mirrors and checkouts, Helm charts, directories."""
