"""Write the configuration of MLflow's basic auth to argv[1]; it holds the database's password, so no ConfigMap can."""

import os
import sys
from configparser import ConfigParser
from pathlib import Path

config = ConfigParser()
config["mlflow"] = {
    "default_permission": os.environ["MLFLOW_AUTH_DEFAULT_PERMISSION"],
    # MLflow reads the file with interpolation, and a password in a URI may have a % in it.
    "database_uri": os.environ["MLFLOW_BACKEND_STORE_URI"].replace("%", "%%"),
    # Hashing a password for every request costs more than most requests; an old one works for a minute longer.
    "auth_cache_ttl_seconds": "60",
    # The administrator and the password come from MLFLOW_AUTH_ADMIN_USERNAME and MLFLOW_AUTH_ADMIN_PASSWORD.
}
path = Path(sys.argv[1])
path.touch(mode=0o600)
with path.open("w") as file:
    config.write(file)
