"""Models that are not made here, from a bucket: rolled out by Git, told by their servers, polled, refused when wrong.

They are of the Python backend, the only one in the wheel's Triton: it stands for any backend of an image.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
import yaml
from lifecycle.gitops.models import Bump
from lifecycle.model.pin import Pin
from lifecycle.verification import WrongVersionServed, check_folder
from moto.server import ThreadedMotoServer

from tests.integration.rollouts.running_site import ENVIRONMENT, Manifest, Site
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("rollouts")

APP, MODEL = "zoo", "times_x"
CONFIG = """\
backend: "python"
max_batch_size: 8
input [ { name: "INPUT" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_FP32 dims: [ 1 ] } ]
"""
CODE = """\
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        given = (utils.get_input_tensor_by_name(each, "INPUT").as_numpy() for each in requests)
        return [utils.InferenceResponse([utils.Tensor("OUTPUT", values * FACTOR)]) for values in given]
"""


class Bucket:
    """An S3 server on loopback with the models of other people."""

    def __init__(self, url: str) -> None:
        self.url = url
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
        self._client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        self._client.create_bucket(Bucket="models")

    def put(self, folder: str, factor: float | None, config: str = CONFIG) -> str:
        """Writes a model that multiplies (None: whose code cannot be read); its address."""
        code = "this is no Python\n" if factor is None else CODE.replace("FACTOR", f"{factor}").replace("1.0", "1")
        for name, text in (("config.pbtxt", config), ("1/model.py", code)):
            self._client.put_object(Bucket="models", Key=f"zoo/{folder}/{name}", Body=text.encode())
        return f"s3://models/zoo/{folder}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Bucket(f"http://{host}:{port}")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def zoo(site: Site) -> Iterator[Site]:
    """The site, which serves nothing of the app at the end."""
    site.put_secret("bucket", {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"})
    yield site
    site.serve(APP, {})


def values(bucket: Bucket, uri: str, **server: Any) -> Manifest:
    """An app's values as a person writes them."""
    entry = {"name": MODEL, "source": {"s3": uri}, "hold": False}
    store = {"endpoint": bucket.url, "existingSecret": "bucket"}
    return {"models": [entry], "modelRepository": {"s3": store}, "server": server}


def ask(site: Site, path: str, body: Any = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    url = f"http://{site.address(APP, MODEL.replace('_', '-'))}:8000/v2/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
    return found


def answer(site: Site) -> float:
    """What the model makes of 2."""
    given = {"name": "INPUT", "shape": [1, 1], "datatype": "FP32", "data": [2.0]}
    return float(ask(site, f"models/{MODEL}/infer", {"inputs": [given]})["outputs"][0]["data"][0])


def live(site: Site, uri: str) -> None:
    """Waits until this folder, and no other, has a ready pod."""
    label = Pin(None, "", "", uri=uri).label
    until(
        f"{uri} is live",
        lambda: [site.describe(pod) for pod in site.pods(APP, MODEL)] == [(label, True, False)],
        lambda: yaml.safe_dump([pod["status"] for pod in site.pods(APP, MODEL)]) + site.logs(),
    )


def moved(site: Site, uri: str, **more: Any) -> str:
    """Names another folder in the way of `yolo_release_path`; the commit's message."""
    pin = Pin(None, "", "", uri=uri)
    wanted = Bump(environment=ENVIRONMENT, app=APP, model=MODEL, registered_model="", pin=pin, **more)
    made = site.gitops.deliver(wanted)
    assert made.outcome == "pushed", made
    site.refresh(APP)
    return site.message(str(made.commit))


def parameters(site: Site) -> Mapping[str, str]:
    told = ask(site, f"models/{MODEL}/config")["parameters"]
    return {key: value["string_value"] for key, value in told.items()}


@pytest.mark.extended
def test_a_folder_is_served_moved_by_a_commit_refused_when_it_is_broken_and_taken_back(
    zoo: Site, bucket: Bucket
) -> None:
    first, second = bucket.put(f"{MODEL}/1", 10), bucket.put(f"{MODEL}/2", 100)
    zoo.write_values(APP, values(bucket, first, modelControlMode="explicit"))
    live(zoo, first)
    assert (answer(zoo), parameters(zoo)["source_uri"]) == (20, first)

    # Explicit control: Triton's API unloads and loads it.
    ask(zoo, f"repository/models/{MODEL}/unload", {})
    until("it is unloaded", lambda: state(zoo) == "UNAVAILABLE")
    ask(zoo, f"repository/models/{MODEL}/load", {})
    assert answer(zoo) == 20

    message = moved(zoo, second, trailers={"Dag-Run": "yolo_release_path/one"})
    assert f"Promote {MODEL} at {second} in {ENVIRONMENT}/{APP}" in message
    assert {f"Model-Uri: {second}", "Dag-Run: yolo_release_path/one"} <= set(message.splitlines())
    live(zoo, second)
    assert answer(zoo) == 200
    url = f"http://{zoo.address(APP, MODEL.replace('_', '-'))}:8000"
    check_folder(url, MODEL, f"{second}/")
    with pytest.raises(WrongVersionServed, match=f"from {second}, but {first} is expected"):
        check_folder(url, MODEL, first)
    metrics = urllib.request.urlopen(f"http://{pod_of(zoo)['status']['podIP']}:8002/metrics", timeout=10).read()
    assert f'nv_inference_request_success{{model="{MODEL}"' in metrics.decode(), "what the alerts go by"

    # Of another model, and a folder that is not there: neither becomes a server, and the live one answers on.
    other = bucket.put("other/1", 1, config=f'name: "other"\n{CONFIG}')
    for wrong, words in ((other, "is of the model other"), ("s3://models/zoo/absent", "is empty or could not be read")):
        moved(zoo, wrong)
        assert words in said(zoo, wrong)
        assert answer(zoo) == 200
    moved(zoo, second, kind="rollback")
    live(zoo, second)
    assert answer(zoo) == 200


@pytest.mark.extended
def test_a_polled_folder_is_loaded_again_without_a_commit(zoo: Site, bucket: Bucket) -> None:
    uri = bucket.put(f"{MODEL}/polled", 3)
    zoo.write_values(APP, values(bucket, uri, modelControlMode="poll", pollSeconds=1))
    live(zoo, uri)
    before, pod = parameters(zoo)["source_sha256"], pod_of(zoo)["metadata"]["uid"]
    assert answer(zoo) == 6
    bucket.put(f"{MODEL}/polled", 4)
    until("the changed model answers", lambda: answered(zoo) == 8, zoo.logs)
    assert parameters(zoo)["source_sha256"] != before
    assert pod_of(zoo)["metadata"]["uid"] == pod, "no pod was replaced"


def answered(site: Site) -> float | None:
    try:
        return answer(site)
    except OSError:  # while it is loaded
        return None


def state(site: Site) -> str:
    return str(ask(site, "repository/index", {})[0]["state"])  # type: ignore[index]


def pod_of(site: Site) -> Manifest:
    (pod,) = site.pods(APP, MODEL)
    return pod


def said(site: Site, uri: str) -> str:
    """Why the folder's pod does not start, by its termination message."""
    label = Pin(None, "", "", uri=uri).label

    def message() -> str:
        for pod in site.pods(APP, MODEL):
            for each in pod.get("status", {}).get("initContainerStatuses") or []:
                ended = (each.get("lastState") or {}).get("terminated") or each["state"].get("terminated") or {}
                if site.describe(pod)[0] == label and ended.get("exitCode"):
                    return str(ended.get("message", ""))
        return ""

    return until(f"{uri} is refused", message, site.logs)
