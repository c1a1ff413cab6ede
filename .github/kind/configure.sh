#!/usr/bin/env bash
# Fill in cluster/settings.toml for the cluster on kind, as a fork's owner would, and commit what follows from it.
#
#   REPOSITORY_URL=https://… BRANCH=… TAG=… .github/kind/configure.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

# set_to <section> <key> <value in TOML>
set_to() {
  sed -i "/^\[$1\]/,/^\[/ s|^$2 = .*|$2 = $3|" cluster/settings.toml
}

set_to repository url "\"$REPOSITORY_URL\""
set_to repository branch "\"$BRANCH\""
# With credentials, so that it is the same for a public and for a private repository.
set_to repository private true
# Images that are loaded into the nodes and never pulled.
set_to images registry '"localhost/yolo"'
set_to images tag "\"$TAG\""
set_to environments production false
# One small server, and no operator beside it.
set_to platform postgresql '"statefulset"'
make --no-print-directory cluster-configure
git -c user.name=kind -c user.email=kind@localhost commit --quiet --all --message "Settings of the cluster on kind"
