#!/bin/sh
# Run by the image's entrypoint when the volume is empty. DATABASES: names; <NAME>_PASSWORD: each one's password.
set -eu
for name in $DATABASES; do
  password=$(printenv "$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD")
  psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set name="$name" --set password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
