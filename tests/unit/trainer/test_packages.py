"""A module that the image lacks: which package to add, and no second try."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from trainer import __main__ as program
from trainer.errors import InputError
from trainer.packages import what_to_install
from trainer.tracking import translated
from trainer.transfer import with_retries


@pytest.mark.parametrize(
    ("statement", "package"),
    [
        ("import boto3", "boto3"),
        ("from google.cloud import storage", "google-cloud-storage"),
        ("from azure.storage.blob import BlobServiceClient", "azure-storage-blob"),
        ("import never_heard_of", "never_heard_of"),
    ],
)
def test_the_package_of_a_missing_module_is_named(
    statement: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("boto3", "google.cloud", "google.cloud.storage", "azure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError) as caught:
        exec(statement)  # noqa: S102
    said = what_to_install(caught.value)
    assert f"Add {package}" in said and "docker/trainer/requirements.in" in said


def test_a_name_that_a_module_lacks_is_no_missing_package() -> None:
    with pytest.raises(ImportError) as caught:
        from json import nothing_of_this_name  # type: ignore[attr-defined]  # noqa: F401
    assert "cannot be imported (cannot import name 'nothing_of_this_name'" in what_to_install(caught.value)


def test_fetching_is_not_tried_again() -> None:
    tries = []

    def fetch() -> None:
        tries.append(1)
        raise ModuleNotFoundError("No module named 's3fs'", name="s3fs")

    with pytest.raises(InputError, match=r"The dataset s3://b/d\.zip cannot be read\. .*Add s3fs to"):
        with_retries("dataset", "s3://b/d.zip", fetch)
    assert len(tries) == 1


def test_an_artifact_store_without_its_client_is_named() -> None:
    said = r"cannot be reached for storing best\.pt: The Python module boto3 is missing"
    with pytest.raises(InputError, match=said), translated("http://mlflow", "storing best.pt"):
        raise ModuleNotFoundError("No module named 'boto3'", name="boto3")


def test_a_command_that_lacks_a_module_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_RUN_ID", "r")
    monkeypatch.setitem(sys.modules, "trainer.commands.train", None)
    assert program.main(["train", "--dataset=digits", f"--workspace={tmp_path}"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("ERROR: ")
