# Targets for a real cluster; the Makefile includes this file. Nothing is installed on this machine: cluster/ needs Python
# 3.11 or later and nothing beside it.
.PHONY: cluster-configure cluster-check cluster-images cluster-up cluster-demo cluster-remove cluster-down
export APP CLUSTER_TIMEOUT CONFIRM

CLUSTER = $(PYTHON) -m cluster

cluster-configure: ## write cluster/settings.toml to the manifests; commit and push what it changed
	@$(CLUSTER) configure

cluster-check: ## look at tools, settings, cluster, rights, storage and Secrets, and change nothing
	@$(CLUSTER) check

cluster-images: ## build the images and load them into the nodes of a cluster of kind or k3d on this machine
	@$(CLUSTER) images

cluster-up: ## install Argo CD on the cluster, hand it this repository, wait until everything is healthy
	@$(CLUSTER) up

cluster-demo: ## run the pipeline once on the cluster (DEMO_PARAMS='{"epochs": 4}' changes its parameters)
	@$(CLUSTER) demo

cluster-remove: ## take one app away that Git no longer asks for (APP=<environment>/<app> CONFIRM=<kubectl's context>)
	@$(CLUSTER) remove

cluster-down: ## take the platform away; data stays (CONFIRM=<kubectl's context>)
	@$(CLUSTER) down
