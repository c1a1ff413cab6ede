#!/usr/bin/env bash
# Lint every chart with every values file that it is really installed with, and render the same.
set -euo pipefail
cd "$(dirname "$0")/.."

check() {
  echo "== $*"
  helm lint --strict --quiet "$@"
  helm template release "$@" > /dev/null
}

for values in charts/triton/ci/*-values.yaml; do
  check charts/triton --values "$values"
done
for values in charts/kserve/ci/*-values.yaml; do
  check charts/kserve --values "$values"
done
for chart in foundation mlflow; do
  check "charts/$chart" --values "charts/platform/$chart.yaml"
done
check charts/postgresql --values charts/platform/postgresql.yaml
check charts/postgresql --values charts/platform/postgresql.yaml --set type=statefulset
