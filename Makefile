# The one entry point. `make help` lists what there is.
PYTHON ?= python3
SANDBOX = PYTHONPATH=$(CURDIR) .venv/sandbox/bin/python -m sandbox.platform
IMAGEBUILD = $(PYTHON) -m tools.images
TESTS = $(PYTHON) -m tools.tests
export AIRFLOW_PORT MLFLOW_PORT SANDBOX_HOME DEMO_PARAMS IMAGES VARIANT IMAGES_HOME IMAGES_BASES

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up demo pipeline status down clean test test-extended test-kubernetes soak lint types unit \
	integration e2e lock bench bench-handoff \
	bench-draining bench-datasets \
	images images-tools images-clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## virtual environments from the pinned requirement files
	@$(PYTHON) -m tools.environments

setup-tests:
	@$(PYTHON) -m tools.environments sandbox triton trainer airflow dev pytest

up: setup ## start the platform (Airflow, MLflow, git, Kubernetes and Argo CD stand-ins)
	@$(SANDBOX) up

demo: setup ## start the platform, run the pipeline once, report (DEMO_PARAMS='{"epochs": 4}' changes its parameters)
	@$(SANDBOX) demo

pipeline: ## a new pipeline's files: NAME=letters (TASK=classify MODEL=letters-detector DATASET=s3://… STAGES="staging production")
	@$(PYTHON) -m tools.environments airflow
	@PYTHONPATH=plugins .venv/airflow/bin/python -m tools.pipeline "$(NAME)" --model "$(MODEL)" --dataset "$(DATASET)" \
		--stages "$(STAGES)" --task "$(TASK)"

status: setup ## addresses, and which version of each model is in git and which answers
	@$(SANDBOX) status

down: ## stop everything that `up` or `demo` started; data stays
	@if [ -f .venv/sandbox/.stamp ]; then $(SANDBOX) down; fi

clean: ## stop everything and forget all runs, models and commits of the sandbox
	@if [ -f .venv/sandbox/.stamp ]; then $(SANDBOX) clean; fi

test: ## lint, types and every suite (ONLY=gitops,trainer: those parts, with their set-up and nothing else)
	@$(TESTS) $(if $(ONLY),--only $(ONLY))

test-kubernetes: ## the contracts of Kubernetes on a real API server: KUBEBUILDER_ASSETS=folder, or KUBECONFIG=file
	@$(PYTHON) -m tools.environments dev pytest
	@CONTRACTS_ON=real .venv/dev/bin/python -m pytest --quiet tests/contracts/api_server

test-extended: ## what `test` leaves out to be quicker and CI runs after it (ONLY=... as well)
	@$(TESTS) --extended integration e2e $(if $(ONLY),--only $(ONLY))

soak: ## the long forms of tests of endurance, which `test` leaves out (ONLY=... as well)
	@$(TESTS) --soak $(if $(ONLY),--only $(ONLY))

lint:
	@$(TESTS) lint

types:
	@$(TESTS) types

unit:
	@$(TESTS) unit

integration:
	@$(TESTS) integration

e2e:
	@$(TESTS) e2e

bench: setup-tests ## measure serving: from a JPEG to boxes, beside the usual ways (minutes)
	PYTHONPATH=plugins .venv/dev/bin/python -m benchmarks.serving

bench-handoff: setup-tests ## measure the handoff beside full clone, PyYAML and one push (minutes)
	PYTHONPATH=plugins .venv/dev/bin/python -m benchmarks.handoff

bench-draining: setup-tests ## measure what clients with kept connections see of a rollout, and what the proxy costs (9 minutes)
	.venv/dev/bin/python -m benchmarks.draining

bench-datasets: setup-tests ## measure prepare beside Ultralytics' own scan of 20,000 images (2 minutes, 3 GB of memory)
	.venv/trainer/bin/python -m benchmarks.datasets

images: ## build every image without Docker and run its health command (IMAGES=triton, VARIANT=gpu)
	@$(IMAGEBUILD) build

images-tools: ## install what `images` needs, on Debian: buildah and mmdebstrap
	@$(IMAGEBUILD) tools

images-clean: ## forget what `images` built
	@$(IMAGEBUILD) clean

lock: setup ## compile the pinned requirement files from the .in files
	@$(PYTHON) -m tools.lock

-include cluster/cluster.mk
