# Makes Triton's model folders out of a template and the version that the values name.
# All paths come from the environment: CHECKOUT, TEMPLATE (relative to it), MODELS, MODEL. SOURCE says what CHECKOUT is.
# Where there is a <template>_tensors, an ensemble, it becomes <model> and the template <model>_engine; else the template
# itself is <model>. ENCODED is true where <template>_encoded goes beside it as <model>_encoded. INSTANCES, MAX_BATCH_SIZE, and of
# the dynamic batching PREFERRED_BATCH_SIZE and MAX_QUEUE_DELAY (microseconds) replace the template's own, where they are not empty.
# What the templates share, the folder `shared` beside them, goes beside the template's model.py. An output's label_filename is
# written: the names of the version's classes, asked for as the server does, with its environment.
# FROM_GIT is true where CHECKOUT is git-sync's link to a commit, which has to be CODE_COMMIT unless that is empty.
set -eu

commit=""
if [ "$FROM_GIT" = true ]; then
  # The link leads to .worktrees/<commit>.
  commit="$(basename "$(readlink "$CHECKOUT")")"
  if [ "${CODE_COMMIT:-$commit}" != "$commit" ]; then
    echo "ERROR: git-sync checked out $commit, and the values name codeCommit $CODE_COMMIT. Delete the pod to try again;" \
      "if it stays so, look whether modelRepository.gitSync.image is git-sync of version 4." >&2
    exit 1
  fi
fi

template="$CHECKOUT/$TEMPLATE"
if [ ! -f "$template/config.pbtxt" ]; then
  echo "ERROR: there is no config.pbtxt in $TEMPLATE of $SOURCE. Set models[].template and modelRepository.path to" \
    "a folder of it that holds one." >&2
  exit 1
fi

target="$MODELS/$MODEL"
rm -rf "$target" "${target}_engine" "${target}_encoded"
engine="$MODEL"
if [ -f "${template}_tensors/config.pbtxt" ]; then
  engine="${MODEL}_engine"
fi
config="$MODELS/$engine/config.pbtxt"
mkdir -p "$MODELS/$engine"
cp -R "$template/." "$MODELS/$engine/"
# An older commit's templates have all that they need, and an own template may be no Python model.
shared="$(dirname "$template")/shared"
if [ -d "$shared" ] && [ -f "$template/1/model.py" ]; then
  cp -R "$shared/." "$MODELS/$engine/1/"
fi

# replace FILE START LINE: puts LINE in place of the one line of FILE that begins with START.
replace() {
  if [ "$(grep -c "^$2" "$1")" != 1 ]; then
    echo "ERROR: config.pbtxt in $TEMPLATE of $SOURCE has no single line that begins with $2, which a value under server" \
      "is to replace. Leave that value null, or write the line into the template." >&2
    exit 1
  fi
  sed "s/^$2.*/$3/" "$1" > "$1.new"
  mv "$1.new" "$1"
}
if [ -n "$INSTANCES" ]; then
  replace "$config" instance_group "instance_group [ { kind: KIND_CPU count: $INSTANCES } ]"
fi
if [ -n "$PREFERRED_BATCH_SIZE$MAX_QUEUE_DELAY" ]; then
  preferred="${PREFERRED_BATCH_SIZE:+preferred_batch_size: [ $PREFERRED_BATCH_SIZE ] }"
  replace "$config" dynamic_batching \
    "dynamic_batching { ${preferred}max_queue_delay_microseconds: ${MAX_QUEUE_DELAY:-0} }"
fi
if [ -n "$MAX_BATCH_SIZE" ]; then
  replace "$config" max_batch_size "max_batch_size: $MAX_BATCH_SIZE"
fi

# ensemble FOLDER TARGET: a public name. It has no weights and leads to the engine above, to which it hands a whole batch.
ensemble() {
  cp -R "$1" "$2"
  # An older commit's <template>_encoded is a model that finds the one above by its own name, and has no such line.
  sed "s/^\( *model_name:\).*/\1 \"$engine\"/" "$1/config.pbtxt" > "$2/config.pbtxt"
  if [ -n "$MAX_BATCH_SIZE" ]; then
    replace "$2/config.pbtxt" max_batch_size "max_batch_size: $MAX_BATCH_SIZE"
  fi
}
if [ "$engine" != "$MODEL" ]; then
  ensemble "${template}_tensors" "$target"
fi
if [ "$ENCODED" = true ] && [ -f "${template}_encoded/config.pbtxt" ]; then
  ensemble "${template}_encoded" "${target}_encoded"
fi

# Triton reads the names before it starts model.py. A template of one's own may bring the file.
labels="$(sed -n 's/.*label_filename: *"\([^"]*\)".*/\1/p' "$config" | head -n 1)"
if [ -n "$labels" ] && [ ! -e "$MODELS/$engine/$labels" ]; then
  (cd "$MODELS/$engine/1" && exec python3 -B -m model_server.labels "$MODELS/$engine/$labels")
fi

# Triton's config endpoint answers with these under the public name, and model.py reads them in the engine's.
parameter() {
  printf 'parameters { key: "%s" value { string_value: "%s" } }\n' "$1" "$2"
}
parameters() {
  echo
  parameter mlflow_model_name "$MLFLOW_MODEL_NAME"
  parameter mlflow_model_version "$MLFLOW_MODEL_VERSION"
  parameter mlflow_run_id "$RUN_ID"
  parameter sha256 "$MODEL_SHA256"
  parameter code_commit "$commit"
}
parameters >> "$config"
if [ "$engine" != "$MODEL" ]; then
  parameters >> "$target/config.pbtxt"
fi
echo "$MODEL: $TEMPLATE${commit:+ of commit $commit} with version $MLFLOW_MODEL_VERSION of $MLFLOW_MODEL_NAME"
