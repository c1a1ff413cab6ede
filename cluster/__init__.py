"""From a fork and a cluster to the running system: `make cluster-check`, `cluster-up`, `cluster-demo`,
`cluster-remove`, `cluster-down`.

The standard library only, so that nothing has to be installed beside Python 3.11, git, kubectl and Helm.
"""
