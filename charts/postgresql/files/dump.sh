#!/bin/sh
# Dump each database as its owner to DUMPS/<name>/<time>.dump, and keep the newest KEEP of each. A dump gets its name only when
# it is complete, and only then an old one goes. DATABASES: names; <NAME>_PASSWORD: the owner's password; PGHOST: the server.
set -eu
failed=
for name in $DATABASES; do
  PGPASSWORD=$(printenv "$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD")
  export PGPASSWORD
  folder=$DUMPS/$name
  mkdir -p "$folder"
  rm -f "$folder"/*.part
  file=$folder/$(date -u +%Y-%m-%dT%H%M%SZ).dump
  if pg_dump --username "$name" --dbname "$name" --format custom --file "$file.part" && pg_restore --list "$file.part" > /dev/null; then
    mv "$file.part" "$file"
    echo "$name: $(wc -c < "$file") bytes in $file"
    # Names sort by time.
    ls "$folder" | grep '\.dump$' | sort -r | tail -n "+$((KEEP + 1))" | while read -r old; do
      rm "$folder/$old"
    done
  else
    rm -f "$file.part"
    echo "$name was not dumped; the dumps before it are left as they are" >&2
    failed=yes
  fi
done
[ -z "$failed" ]
