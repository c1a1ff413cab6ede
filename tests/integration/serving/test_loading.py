"""Loading a version: what makes it ready, and what does not and what the log then says."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from yolo_client import Detector

from tests.integration.serving.own_model import OwnModel
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import until
from tests.support.triton import Triton, add_model

pytestmark = pytest.mark.xdist_group("loading")

RED = np.zeros((1, 3, 64, 64), np.float32)
RED[:, 0] = 0.9


@pytest.fixture(scope="module")
def by_hand(
    triton_executable: Path,
    mlflow_server: Mlflow,
    toy: Registered,
    other: Registered,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Triton]:
    """A server that a person started with the toy's name and version in its environment, and three models on it.

    `by_environment` says nothing itself, `by_parameters` names another version, `broken` one that there is not.
    """
    folder = tmp_path_factory.mktemp("by-hand")
    served: Mapping[str, Mapping[str, str] | None] = {
        "by_environment": None,
        "by_parameters": other.parameters(),
        "broken": other.parameters(mlflow_model_version="99"),
    }
    for model, parameters in served.items():
        (folder / "models").mkdir(exist_ok=True)
        add_model(folder / "models", model, parameters)
    variables = {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MODEL_CACHE_DIR": str(folder / "cache")}
    triton = Triton(triton_executable, folder / "models", variables | toy.variables(), ("--exit-on-error=false",))
    with triton.running():
        triton.wait_ready("by_environment", "by_parameters")
        yield triton


@pytest.fixture(scope="module")
def other(mlflow_server: Mlflow, handmade: Path) -> Registered:
    """The toy's file under another name."""
    return mlflow_server.register("other", handmade / "toy.onnx", image_size="64")


def test_by_hand_with_environment_variables(by_hand: Triton, toy: Registered) -> None:
    with Detector(by_hand.http, "by_environment") as client:
        served = client.served()
        assert (served.name, served.version, served.sha256, served.run_id) == (
            toy.name,
            toy.version,
            toy.sha256,
            toy.run_id,
        )
        assert (served.class_names, served.image_size) == (("red", "green"), 64)
        assert client.infer(RED)[0][0, 4] == pytest.approx(0.9, abs=1e-3)
    assert f"sha256 {toy.sha256} as the version's tag says" in by_hand.log


def test_parameters_of_the_model_go_before_the_environment(by_hand: Triton, other: Registered) -> None:
    with Detector(by_hand.http, "by_parameters") as client:
        assert (client.served().name, client.served().run_id) == (other.name, other.run_id)
    assert f"sha256 {other.sha256} as the settings say" in by_hand.log


def test_a_model_that_fails_leaves_the_others_of_its_server_alone(by_hand: Triton) -> None:
    by_hand.wait_logged("broken is not ready")
    assert not by_hand.ready("broken")
    with Detector(by_hand.http, "by_environment") as first, Detector(by_hand.grpc, "by_parameters", "grpc") as second:
        assert (first.served().name, second.served().name) == ("toy", "other")


def test_a_server_whose_only_model_fails_ends(start_triton: Callable[..., Triton]) -> None:
    triton: Triton = start_triton({"digits": None})
    assert triton.wait_ended() != 0
    assert triton.reason("digits").startswith(
        "MLFLOW_MODEL_NAME is not set: set it, or the parameter mlflow_model_name"
    )


WRONG = {
    "name": ({"mlflow_model_name": "nobody"}, "lacks version 1 of the registered model 'nobody'"),
    "version": ({"mlflow_model_version": "99"}, "lacks version 99 of the registered model 'toy'"),
    "sha256": ({"sha256": "0" * 64}, f"but {'0' * 64} is expected"),
    "no number": ({"mlflow_model_version": "latest"}, "MLFLOW_MODEL_VERSION is 'latest', but must be a whole number"),
    "no sha256": ({"sha256": "abc"}, "MODEL_SHA256 is 'abc', but must be 64 hexadecimal digits"),
}


@pytest.mark.parametrize(("changes", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_named_in_one_line_without_retries(
    own: OwnModel, toy: Registered, changes: dict[str, str], reason: str
) -> None:
    assert reason in own.refused(toy.parameters(**changes))
    assert "attempt 2" not in own.said


def by_tag(registered: Registered) -> dict[str, str]:
    """Parameters without a sha256: the version's tag says what is expected."""
    parameters = registered.parameters()
    del parameters["sha256"]
    return parameters


def test_a_file_that_was_changed_in_the_store_is_not_served(
    own: OwnModel, mlflow_server: Mlflow, handmade: Path
) -> None:
    registered = mlflow_server.register("changed", handmade / "toy.onnx")
    with mlflow_server.stored_file(registered).open("r+b") as file:
        file.seek(200)
        file.write(b"\x00\x01\x02\x03")
    reason = own.refused(by_tag(registered))
    assert f"but {registered.sha256} is expected as the version's tag says" in reason
    assert "changed or is damaged" in reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("classifier.onnx", "the model's output has shape [1, 3], but a detector's is"),
        ("text", "cannot load the model"),
        ("two files", "has 2 ONNX files"),
    ],
)
def test_what_is_no_detector_is_not_served(
    own: OwnModel, mlflow_server: Mlflow, handmade: Path, tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "model.onnx"
    if content == "text":
        file.write_text("not an ONNX file")
    else:
        shutil.copy(handmade / (content if content.endswith("onnx") else "toy.onnx"), file)
    registered = mlflow_server.register(f"no-detector-{reason[:3].strip()}", file)
    if content == "two files":
        shutil.copy(file, mlflow_server.stored_file(registered).with_name("second.onnx"))
    assert reason in own.refused(by_tag(registered))


def test_a_version_without_checksum_is_served_and_the_log_says_so(
    own: OwnModel, mlflow_server: Mlflow, handmade: Path
) -> None:
    registered = mlflow_server.register("untagged", handmade / "toy.onnx", sha256="")
    own.serve(by_tag(registered))
    own.wait_said(f"sha256 {registered.sha256}, NOT CHECKED")
    with own.detector() as client:
        served = client.served()
    assert served.sha256 == registered.sha256
    assert served.class_names == ("red", "green"), "the export's own notes name the classes"


def test_a_new_version_replaces_the_old_one_which_stays_when_that_fails(
    own: OwnModel, mlflow_server: Mlflow, toy: Registered, handmade: Path
) -> None:
    second = mlflow_server.register("explicit", handmade / "toy.onnx", image_size="64")
    own.put(toy.parameters())
    assert not own.triton.ready(own.name), "in explicit mode nothing loads by itself"
    assert own.load(toy.parameters())[0] == 200
    with own.detector() as client:
        assert (client.served().name, client.served().version) == ("toy", toy.version)

    status, answer = own.load(second.parameters(sha256="f" * 64))
    assert status == 400 and "f" * 64 in answer
    assert own.triton.ready(own.name)
    with own.detector() as client:
        assert client.infer_and_tell(RED).served.name == "toy"

    assert own.load(second.parameters())[0] == 200
    with own.detector() as client:
        assert client.served().name == "explicit"

    own.unload()
    assert not own.triton.ready(own.name)


@pytest.mark.extended
def test_poll_mode_loads_what_was_changed_and_nothing_else(
    start_triton: Callable[..., Triton], mlflow_server: Mlflow, toy: Registered, handmade: Path
) -> None:
    second = mlflow_server.register("polled", handmade / "toy.onnx", image_size="64")
    options = ("--model-control-mode=poll", "--repository-poll-secs=1")
    triton: Triton = start_triton({"digits": toy.parameters()}, None, *options)
    triton.wait_ready("digits")
    time.sleep(3)  # Triton looks every second
    assert triton.log.count("digits serves 'toy'") == 1, "the model was loaded again although nothing changed"
    add_model(triton.repository, "digits", second.parameters())
    triton.wait_logged("digits serves 'polled' version 1")
    with Detector(triton.http, "digits") as client:
        until("the new version answers", lambda: client.infer_and_tell(RED).served.name == "polled")
