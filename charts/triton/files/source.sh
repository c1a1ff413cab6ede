# Brings a Triton model folder out of a bucket: SOURCE is s3://<bucket>/<folder>, MODEL its name in Triton, CONFIG_NEEDED true
# where Triton does not complete a configuration. SECONDS_BETWEEN 0: once. Else it looks again and again, and a folder that has
# changed takes the place of the one before, for Triton's poll mode.
# $MODELS/$MODEL is a link to a copy below $FOLDER: a copy is complete before the link leads to it, and stays for one change more.
set -eu
PATH="$PATH:/" # s5cmd's image has the program in its root folder

fail() {
  echo "ERROR: $1" >&2
  exit 1
}

fetch() {
  # s5cmd calls it a success where the folder is not there, and empties its own.
  if ! s5cmd --log=error --retry-count=5 sync --delete "$SOURCE/*" "$FOLDER/incoming/" ||
    [ -z "$(find "$FOLDER/incoming" -type f | head -n 1)" ]; then
    fail "$SOURCE is empty or could not be read. Look whether the folder exists (source.s3 of the entry), and whether modelRepository.s3 names its store and its keys."
  fi
}

digest() {
  (cd "$FOLDER/incoming" && find . -type f | LC_ALL=C sort | while read -r file; do sha256sum "$file"; done | sha256sum | cut -d ' ' -f 1)
}

# check: what Triton itself would say only in a log that is longer than what Kubernetes shows of it.
check() {
  config="$FOLDER/incoming/config.pbtxt"
  if [ ! -f "$config" ]; then
    [ "$CONFIG_NEEDED" = false ] ||
      fail "$SOURCE holds no config.pbtxt. Name the folder that holds one, or set server.autoCompleteConfig for a backend that completes it."
    return 0
  fi
  name="$(sed -n 's/^name *: *"\([^"]*\)".*/\1/p' "$config" | head -n 1)"
  [ -z "$name" ] || [ "$name" = "$MODEL" ] ||
    fail "config.pbtxt in $SOURCE is of the model $name, and the entry is called $MODEL. Give the entry that name."
}

# place: a copy that tells where it is from, and the link to it.
place() {
  former="$(readlink "$MODELS/$MODEL" || true)"
  copy="$FOLDER/copies/$1"
  rm -rf "$copy.new" "$copy"
  mkdir -p "$copy.new"
  cp -R "$FOLDER/incoming/." "$copy.new/"
  for pair in "source_uri $SOURCE" "source_sha256 $1"; do
    printf '\nparameters { key: "%s" value { string_value: "%s" } }\n' "${pair%% *}" "${pair#* }" >> "$copy.new/config.pbtxt"
  done
  mv "$copy.new" "$copy"
  ln -sfn "$copy" "$MODELS/.$MODEL"
  mv -T "$MODELS/.$MODEL" "$MODELS/$MODEL"
  for old in "$FOLDER"/copies/*; do
    [ "$old" = "$copy" ] || [ "$old" = "$former" ] || rm -rf "$old"
  done
  echo "$MODEL: $SOURCE with sha256 $1 over its files"
}

mkdir -p "$FOLDER/incoming" "$FOLDER/copies"
if [ "$SECONDS_BETWEEN" = 0 ]; then
  fetch
  check
  place "$(digest)"
  exit 0
fi
while sleep "$SECONDS_BETWEEN"; do
  # What cannot be read now may be readable later, and the server goes on with what it has.
  if (fetch && check); then
    now="$(digest)"
    [ "$(readlink "$MODELS/$MODEL")" = "$FOLDER/copies/$now" ] || place "$now"
  fi
done
