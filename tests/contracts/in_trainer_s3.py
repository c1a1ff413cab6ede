"""Runs in the trainer's environment, which has s3fs: changes a bucket, and prints what the watcher says of it as JSON.

.venv/trainer/bin/python in_trainer_s3.py     (PYTHONPATH=plugins, AWS_… of an S3 server)
"""

from __future__ import annotations

import json

import s3fs
from lifecycle.errors import DatasetUnreadable
from lifecycle.hooks.dataset import fingerprint


def main() -> None:
    """One file and one folder, before and after changes that a person makes."""
    store = s3fs.S3FileSystem(skip_instance_cache=True)
    store.mkdir("data")
    said: dict[str, list[str]] = {"file": [], "folder": []}
    for changes in ({}, {"letters.zip": b"other"}, {"folder/images/a.png": b"other"}, {"folder/images/b.png": b"more"}):
        if not changes:
            changes = {"letters.zip": b"first", "folder/data.yaml": b"names", "folder/images/a.png": b"first"}
        for key, content in changes.items():
            store.pipe(f"data/{key}", content)
        said["file"].append(fingerprint("s3://data/letters.zip"))
        said["folder"].append(fingerprint("s3://data/folder"))
    said["folder"].append(fingerprint("s3://data/folder/"))
    said["refused"] = []
    for absent in ("s3://data/absent.zip", "s3://nowhere/letters.zip"):
        try:
            said["refused"].append(fingerprint(absent))
        except DatasetUnreadable as error:
            said["refused"].append(str(error))
    print(json.dumps(said))


if __name__ == "__main__":
    main()
