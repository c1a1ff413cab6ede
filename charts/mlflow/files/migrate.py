"""Bring an existing database to the schema of this image's MLflow; a new one the server makes by itself."""

import os
import subprocess
import sys

from sqlalchemy import create_engine, inspect

uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
engine = create_engine(uri)
try:
    known = inspect(engine).has_table("alembic_version")
finally:
    engine.dispose()
if known:
    print("Upgrading the database's schema, if it is older than this MLflow.", flush=True)
    sys.exit(subprocess.call(["mlflow", "db", "upgrade", uri]))
print("The database is empty; the server makes its tables.", flush=True)
