"""Which package a missing Python module is in, for the stores that the image holds no client of."""

from __future__ import annotations

# Modules that MLflow's artifact stores and fsspec import, and what to add to docker/trainer/requirements.in.
PACKAGES = {
    "boto3": "boto3",
    "s3fs": "s3fs",
    "google": "google-cloud-storage",
    "gcsfs": "gcsfs",
    "azure": "azure-storage-blob, azure-storage-file-datalake and azure-identity",
    "adlfs": "adlfs",
}


def what_to_install(error: ImportError) -> str:
    """One sentence: what is missing, and what to do."""
    module = error.name or ""
    package = PACKAGES.get(module) or PACKAGES.get(module.partition(".")[0])
    if package is None and isinstance(error, ModuleNotFoundError):
        package = module
    if not package:
        return f"A Python module cannot be imported ({error}). Correct docker/trainer/requirements.in and the image."
    return (
        f"The Python module {module} is missing from this image. Add {package} to docker/trainer/requirements.in "
        "(`make lock`), and build the image again."
    )
