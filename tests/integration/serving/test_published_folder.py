"""What a release publishes for KServe: one folder in a bucket, once, which real Triton serves without asking MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

import tests.support.airflow_environment  # noqa: F401 — before anything imports Airflow
from sandbox.platform import gitremote
from sandbox.platform.config import Config
from tests.support.mlflow import Mlflow, Registered
from tests.support.triton import Triton

ENVIRONMENT, APP, MODEL, NAME = "staging", "kserve", "published", "published-detector"
FILE = f"argocd-apps/{ENVIRONMENT}/{APP}/values.yaml"
VALUES = f"""\
# Of a cluster with KServe.
serving: kserve
models:
  - name: {MODEL}  # Triton's
    registeredModel: {NAME}
    version: null
    sha256: ""
    runId: ""
    codeCommit: ""
    storageUri: ""
    hold: false
"""
Deliver = Callable[..., Any]


class Place:
    """A git remote made of this checkout, and a bucket."""

    def __init__(self, home: Path, url: str) -> None:
        self._config = Config(home.resolve(), 0, 0)
        gitremote.prepare(self._config)
        self._clone = home / "clone"
        self._clone.mkdir()
        self._git("clone", "--quiet", self.git_url, ".")
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
        self.s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        self.s3.create_bucket(Bucket="models")

    @property
    def git_url(self) -> str:
        return f"file://{self._config.bare_repository}"

    def write(self, text: str) -> None:
        """Commits the values file as a person does."""
        file = self._clone / FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", "An app for KServe")
        self._git("push", "--quiet", "origin", "HEAD:main")

    def text(self) -> str:
        self._git("fetch", "--quiet", "origin")
        return self._git("show", "origin/main:" + FILE) + "\n"

    def entry(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.text())["models"][0]
        return found

    def stored(self) -> list[str]:
        # All servers of moto in one process have the same buckets, with what other tests left there.
        found = self.s3.list_objects_v2(Bucket="models", Prefix=f"kserve/{NAME}/").get("Contents", [])
        return sorted(each["Key"] for each in found)

    def download(self, uri: str, into: Path) -> None:
        """As KServe's storage initializer does it: by the beginning of keys, and without empty files."""
        prefix = f"{uri}/".removeprefix("s3://models/")
        for each in self.s3.list_objects_v2(Bucket="models", Prefix=prefix)["Contents"]:
            assert each["Size"], f"{each['Key']} would not arrive"
            file = into / each["Key"].removeprefix(prefix)
            file.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file("models", each["Key"], str(file))

    def _git(self, *arguments: str) -> str:
        variables = {"GIT_CONFIG_GLOBAL": str(self._config.gitconfig)}
        return gitremote.git(*arguments, cwd=self._clone, variables=variables)


@pytest.fixture
def place(tmp_path: Path, mlflow_server: Mlflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    from lifecycle.settings import settings

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = Place(tmp_path / "home", f"http://{host}:{port}")
    made.write(VALUES)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps({"conn_type": "http", "host": mlflow_server.uri}),
        "LIFECYCLE_GITOPS_URL": made.git_url,
        "LIFECYCLE_PUBLISH_URL": "s3://models/kserve",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield made
    server.stop()
    settings.cache_clear()


@pytest.fixture
def toy_version(mlflow_server: Mlflow, handmade: Path) -> Registered:
    return mlflow_server.register(NAME, handmade / "toy.onnx", class_names='["red", "green"]', image_size="64")


def deliver(registered: Registered, run: str, **more: Any) -> Any:
    """As the tasks `promote` and `roll_back` do it."""
    from lifecycle.model.pin import Pin
    from lifecycle.model.target import Target
    from lifecycle.steps import handoff

    pin = more.pop("pin", Pin(registered.version, registered.sha256, registered.run_id))
    wanted = handoff.bump(Target(ENVIRONMENT, APP, MODEL), NAME, pin, trailers={"Dag-Run": run}, **more)
    return handoff.deliver(wanted)


@pytest.mark.extended
def test_a_release_publishes_its_folder_once_and_triton_serves_it(
    place: Place, toy_version: Registered, triton_executable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lifecycle.publishing.__main__ import main
    from lifecycle.verification import check_identity
    from yolo_client import Detector

    before = place.text()
    made = deliver(toy_version, "digits/one", kind="promote", newest_code=True)
    assert made.outcome == "pushed", made
    entry, stem = place.entry(), f"s3://models/kserve/{NAME}/{toy_version.version}-{toy_version.sha256[:8]}"
    assert (entry["version"], entry["storageUri"], entry["codeCommit"]) == (
        toy_version.version, f"{stem}-1", made.pin.code_commit)  # fmt: skip
    changed = [line for line, old in zip(place.text().splitlines(), before.splitlines(), strict=True) if line != old]
    assert [line.split(":")[0].strip() for line in changed] == [
        "version",
        "sha256",
        "runId",
        "codeCommit",
        "storageUri",
    ]

    # A killed task that comes again, and the same wish of the same run: neither publishes a second time.
    published = place.stored()
    assert deliver(toy_version, "digits/one", kind="promote", newest_code=True).outcome == "already_there"
    assert place.stored() == published

    repository = tmp_path / "mnt" / "models"
    place.download(entry["storageUri"], repository)
    assert [path.name for path in repository.iterdir()] == [MODEL], "one folder, which a TrainedModel can be, too"
    variables = {"MODEL_CACHE_DIR": str(tmp_path / "cache")}
    with Triton(triton_executable, repository, variables).running() as triton:
        triton.wait_ready(MODEL)
        with Detector(triton.http, MODEL) as detector:
            served = detector.served()
            check_identity(served, made.pin, triton.http)
            assert served.code_commit == made.pin.code_commit
        assert f"from the cache, sha256 {toy_version.sha256} as the settings say" in triton.log

    # A way back never takes an address that was there before, and copies what is the same.
    back = deliver(toy_version, "yolo_rollback/two", kind="rollback", pin=made.pin)
    assert (back.outcome, place.entry()["storageUri"]) == ("pushed", f"{stem}-2")
    names = [{key.partition(f"-{n}/")[2] for key in place.stored() if f"-{n}/" in key} for n in (1, 2)]
    assert names[0] == names[1] and f"{MODEL}/config.pbtxt" in names[0]

    # What nobody pins any more is listed, and deleted only where that is asked for.
    everything = place.stored()
    assert main(["--keep", "0"]) == 0
    assert f"{stem}-1\n1 folders not pinned by any environment; nothing was deleted" in capsys.readouterr().out
    assert place.stored() == everything
    assert main(["--keep", "2"]) == 0
    assert "0 folders" in capsys.readouterr().out
    assert main(["--keep", "0", "--delete"]) == 0
    assert {key.partition(f"{NAME}/")[2].split("/")[0] for key in place.stored()} == {
        f"{toy_version.version}-{toy_version.sha256[:8]}-2", f"{toy_version.version}-{toy_version.sha256[:8]}-2.json"
    }  # fmt: skip


@pytest.mark.extended
def test_the_folder_of_a_classifier_has_the_names_of_its_classes(
    place: Place, mlflow_server: Mlflow, handmade: Path, tmp_path: Path
) -> None:
    place.write(VALUES.replace("    version: null\n", "    template: classifier\n    version: null\n"))
    registered = mlflow_server.register(NAME, handmade / "colours.onnx", image_size="64")
    assert deliver(registered, "colours/one", kind="promote", newest_code=True).outcome == "pushed"
    place.download(place.entry()["storageUri"], tmp_path / "models")
    (labels,) = (tmp_path / "models" / MODEL).glob("*.txt")
    # Triton reads them before it starts model.py, and a pod of KServe's asks nobody for them.
    assert labels.read_text() == "red\ngreen\nnavy blue\n"
    assert f'label_filename: "{labels.name}"' in (labels.parent / "config.pbtxt").read_text()


def test_without_a_place_to_publish_in_nothing_is_committed(
    place: Place, toy_version: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lifecycle.errors import PublishingFailed
    from lifecycle.gitops import BumpInvalid
    from lifecycle.settings import settings

    before = place.text()
    monkeypatch.setenv("LIFECYCLE_PUBLISH_URL", "s3://absent/kserve")
    settings.cache_clear()
    with pytest.raises(PublishingFailed, match="Check that the bucket exists"):
        deliver(toy_version, "digits/three", kind="promote", newest_code=True)
    monkeypatch.delenv("LIFECYCLE_PUBLISH_URL")
    settings.cache_clear()
    with pytest.raises(BumpInvalid, match="Set LIFECYCLE_PUBLISH_URL"):
        deliver(toy_version, "digits/three", kind="promote", newest_code=True)
    assert place.text() == before
