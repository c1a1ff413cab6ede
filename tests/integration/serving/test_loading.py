"""Loading a version: what makes it ready, what does not and what the log then says, and what survives."""

import hashlib
import http.server
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from lifecycle.verification.verify import iou_matrix
from yolo_client import Detector

from tests.integration.serving.test_answers import ask
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import free_port
from tests.support.triton import Triton, add_model

StartTriton = Callable[..., Triton]

RED = np.zeros((1, 3, 64, 64), np.float32)
RED[:, 0] = 0.9


def served_version(triton: Triton, model: str) -> int:
    """Which version answers, by its own account."""
    with Detector(triton.http, model) as client:
        return client.served().version


def test_by_hand_with_environment_variables(start_triton: StartTriton, toy: Registered) -> None:
    triton = start_triton({"yolo": None}, toy.variables())
    triton.wait_ready("yolo")
    with Detector(triton.http, "yolo") as client:
        served = client.served()
        assert (served.name, served.version, served.sha256, served.run_id) == (
            toy.name,
            toy.version,
            toy.sha256,
            toy.run_id,
        )
        assert (served.class_names, served.image_size) == (("red", "green"), 64)
        assert client.infer(RED)[0][0, 4] == pytest.approx(0.9, abs=1e-3)
    assert f"sha256 {toy.sha256} as the version's tag says" in triton.log


def test_parameters_of_the_model_go_before_the_environment(start_triton: StartTriton, toy: Registered) -> None:
    triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_MODEL_NAME": "another", "MLFLOW_MODEL_VERSION": "77"})
    triton.wait_ready("digits")
    assert served_version(triton, "digits") == toy.version
    assert f"sha256 {toy.sha256} as the settings say" in triton.log


WRONG = {
    "name": ({"mlflow_model_name": "nobody"}, "lacks version 1 of the registered model 'nobody'"),
    "version": ({"mlflow_model_version": "99"}, "lacks version 99 of the registered model 'toy'"),
    "sha256": ({"sha256": "0" * 64}, f"but {'0' * 64} is expected"),
    "no number": ({"mlflow_model_version": "latest"}, "MLFLOW_MODEL_VERSION is 'latest', but must be a whole number"),
    "no sha256": ({"sha256": "abc"}, "MODEL_SHA256 is 'abc', but must be 64 hexadecimal digits"),
}


@pytest.mark.parametrize(("changes", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_named_in_one_line_without_retries(
    start_triton: StartTriton, toy: Registered, changes: dict[str, str], reason: str
) -> None:
    started = time.monotonic()
    triton = start_triton({"digits": toy.parameters(**changes)})
    assert triton.wait_ended() != 0
    assert reason in triton.reason("digits")
    assert "attempt 2" not in triton.log
    assert time.monotonic() - started < 60


def test_a_missing_setting_is_named(start_triton: StartTriton) -> None:
    triton = start_triton({"digits": None})
    triton.wait_ended()
    assert triton.reason("digits").startswith(
        "MLFLOW_MODEL_NAME is not set: set it, or the parameter mlflow_model_name"
    )


def test_a_file_that_was_changed_in_the_store_is_not_served(
    start_triton: StartTriton, mlflow_server: Mlflow, models: Path
) -> None:
    registered = mlflow_server.register("changed", models / "toy.onnx")
    with mlflow_server.stored_file(registered).open("r+b") as file:
        file.seek(200)
        file.write(b"\x00\x01\x02\x03")
    triton = start_triton({"digits": None}, registered.variables())
    assert triton.wait_ended() != 0
    assert f"but {registered.sha256} is expected as the version's tag says" in triton.reason("digits")
    assert "changed or is damaged" in triton.reason("digits")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("classifier.onnx", "the model's output has shape [1, 3], but a detector's is"),
        ("text", "cannot load the model"),
        ("two files", "has 2 ONNX files"),
    ],
)
def test_what_is_no_detector_is_not_served(
    start_triton: StartTriton, mlflow_server: Mlflow, models: Path, tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "model.onnx"
    if content == "text":
        file.write_text("not an ONNX file")
    else:
        shutil.copy(models / (content if content.endswith("onnx") else "toy.onnx"), file)
    registered = mlflow_server.register(f"no-detector-{reason[:3].strip()}", file)
    if content == "two files":
        shutil.copy(file, mlflow_server.stored_file(registered).with_name("second.onnx"))
    triton = start_triton({"digits": None}, registered.variables())
    assert triton.wait_ended() != 0
    assert reason in triton.reason("digits")


def test_a_version_without_checksum_is_served_and_the_log_says_so(
    start_triton: StartTriton, mlflow_server: Mlflow, models: Path
) -> None:
    registered = mlflow_server.register("untagged", models / "toy.onnx", sha256="")
    triton = start_triton({"digits": None}, registered.variables())
    triton.wait_ready("digits")
    assert f"sha256 {registered.sha256}, NOT CHECKED" in triton.log
    with Detector(triton.http, "digits") as client:
        served = client.served()
    assert served.sha256 == registered.sha256
    assert served.class_names == ("red", "green"), "the export's own notes name the classes"


def test_a_server_that_is_away_is_waited_for(start_triton: StartTriton, mlflow_server: Mlflow, toy: Registered) -> None:
    later = Mlflow(mlflow_server.folder, free_port())
    triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_TRACKING_URI": later.uri})
    triton.wait_logged("(connection refused): attempt 3 in")
    assert not triton.ready("digits")
    with later.running():
        triton.wait_ready("digits", seconds=240)
        assert served_version(triton, "digits") == toy.version


def test_a_server_that_stays_away_is_given_up_with_one_line(start_triton: StartTriton, toy: Registered) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_TRACKING_URI": nobody, "MODEL_LOAD_TIMEOUT": "4"})
    assert triton.wait_ended() != 0
    assert triton.reason("digits") == (
        f"MLflow at {nobody} did not give version 1 of the registered model 'toy' within 4 s (connection refused): "
        "start it or correct MLFLOW_TRACKING_URI, then load the model again"
    )
    assert "attempt 2" in triton.log


@contextmanager
def stub_server(behave: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers as MLflow does on a bad day; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behave(self)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access_is_not_retried(start_triton: StartTriton, toy: Registered, status: int) -> None:
    asked: list[str] = []

    def refuse(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(status)
        request.end_headers()

    with stub_server(refuse) as uri:
        triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_TRACKING_URI": uri})
        assert triton.wait_ended() != 0
    assert f"refused access to version 1 of the registered model 'toy' (HTTP {status})" in triton.reason("digits")
    assert len(asked) == 1


def test_server_errors_are_retried(start_triton: StartTriton, toy: Registered) -> None:
    asked: list[str] = []

    def fail(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(503)
        request.end_headers()

    with stub_server(fail) as uri:
        triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_TRACKING_URI": uri, "MODEL_LOAD_TIMEOUT": "5"})
        assert triton.wait_ended() != 0
    assert len(asked) >= 3
    assert "did not give version 1 of the registered model 'toy' within 5 s" in triton.reason("digits")


def test_an_answer_that_trickles_in_is_given_up_at_the_time_limit(start_triton: StartTriton, toy: Registered) -> None:
    def trickle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" ")
                request.wfile.flush()
                time.sleep(0.2)
        except OSError:
            pass

    with stub_server(trickle) as uri:
        started = time.monotonic()
        triton = start_triton({"digits": toy.parameters()}, {"MLFLOW_TRACKING_URI": uri, "MODEL_LOAD_TIMEOUT": "5"})
        assert triton.wait_ended() != 0
        assert time.monotonic() - started < 60
    assert "no end within 5 s" in triton.reason("digits")


def test_a_restart_with_a_pinned_checksum_needs_no_mlflow(
    start_triton: StartTriton, toy: Registered, mlflow_server: Mlflow, triton_executable: Path, tmp_path: Path
) -> None:
    start_triton({"digits": toy.parameters()}).wait_ready("digits")
    # A proxy that nobody runs: the address is the same, MLflow cannot be reached.
    away = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "", "NO_PROXY": "", "MODEL_LOAD_TIMEOUT": "5"}
    again = start_triton({"digits": toy.parameters()}, away)
    again.wait_ready("digits")
    assert "from the cache" in again.log
    assert served_version(again, "digits") == toy.version


def test_a_damaged_cache_entry_is_fetched_again(start_triton: StartTriton, toy: Registered, tmp_path: Path) -> None:
    start_triton({"digits": toy.parameters()}).wait_ready("digits")
    (cached,) = (tmp_path / "cache" / "objects").iterdir()
    cached.write_bytes(cached.read_bytes()[:-10])
    again = start_triton({"digits": toy.parameters()})
    again.wait_ready("digits")
    assert "downloaded" in again.log
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == toy.sha256


def test_two_models_on_one_server_and_one_that_fails(
    start_triton: StartTriton, toy: Registered, yolo: Registered
) -> None:
    triton = start_triton(
        {"first": toy.parameters(), "second": yolo.parameters(), "broken": toy.parameters(mlflow_model_version="99")},
        None,
        "--exit-on-error=false",
    )
    triton.wait_ready("first", "second")
    with Detector(triton.http, "first") as first, Detector(triton.grpc, "second", "grpc") as second:
        assert (first.served().name, second.served().name) == ("toy", "yolo11n")
    triton.wait_logged("broken is not ready")
    assert not triton.ready("broken")


def assert_nearly_equal(first: np.ndarray, second: np.ndarray) -> None:
    """The same network another way through the same engine: what is sure has the same place, class and confidence."""
    sure = first[first[:, 4] > 0.4]
    assert len(sure) > 5
    same = (iou_matrix(sure[:, :4], second[:, :4]) > 0.95) & (sure[:, None, 5] == second[None, :, 5])
    assert (same & (np.abs(sure[:, None, 4] - second[None, :, 4]) < 0.01)).any(axis=1).all()


@pytest.mark.parametrize(
    ("engine", "precision", "least_iou", "tolerance"),
    [("openvino", "fp32", 0.999, 1e-3), ("auto", "auto", 0.6, 0.1)],
    ids=["openvino", "auto"],
)
def test_engines_find_the_same(
    start_triton: StartTriton,
    mlflow_server: Mlflow,
    models: Path,
    expected: Callable[[str, int], tuple[np.ndarray, list[np.ndarray]]],
    engine: str,
    precision: str,
    least_iou: float,
    tolerance: float,
) -> None:
    """Lower precision moves the boxes of an untrained network more than those of a trained one."""
    registered = mlflow_server.register(f"engine-{engine}", models / "yolo11n.onnx", precision_drop='{"bf16": 0.001}')
    choice = {"MODEL_ENGINE": engine, "MODEL_PRECISION": precision}
    triton = start_triton({"digits": registered.parameters()}, choice)
    triton.wait_ready("digits")
    images, rows = expected("yolo11n", 160)
    with Detector(triton.http, "digits") as client:
        served = client.served()
        found = client.infer(images, confidence=0.15)
        alone = [client.infer(image[None], confidence=0.15)[0] for image in images]
    for one, beside_others in zip(alone, found, strict=True):
        assert_nearly_equal(one, beside_others)
    pixels = np.rint(images * 255).astype(np.uint8)
    as_floats = pixels.astype(np.float32) / np.float32(255)
    for part in (slice(1), slice(None)):  # one image alone, and several
        of_bytes, of_floats = ask(triton, "digits", pixels=pixels[part]), ask(triton, "digits", images=as_floats[part])
        for ours, theirs in zip(of_bytes, of_floats, strict=True):
            assert_nearly_equal(ours[ours[:, 4] > 0], theirs[theirs[:, 4] > 0])
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    lowest = ("openvino", "bf16") if has_bf16 else ("onnxruntime", "fp32")
    assert (served.engine, served.precision) == (lowest if engine == "auto" else (engine, precision))
    for ours, theirs in zip(found, rows, strict=True):
        sure = theirs[theirs[:, 4] > 0.4]
        assert len(sure) > 5
        same = (iou_matrix(sure[:, :4], ours[:, :4]) > least_iou) & (sure[:, None, 5] == ours[None, :, 5])
        close = np.abs(sure[:, None, 4] - ours[None, :, 4]) < tolerance
        assert (same & close).any(axis=1).all()


def test_explicit_mode_loads_a_new_version_and_keeps_the_old_one_when_that_fails(
    start_triton: StartTriton, mlflow_server: Mlflow, toy: Registered, models: Path
) -> None:
    second = mlflow_server.register("explicit", models / "toy.onnx", image_size="64")
    triton = start_triton({"digits": toy.parameters()}, None, "--model-control-mode=explicit")
    triton.wait_live()
    assert not triton.ready("digits")
    assert triton.control("load", "digits")[0] == 200
    assert served_version(triton, "digits") == toy.version

    add_model(triton.repository, "digits", second.parameters(sha256="f" * 64))
    status, answer = triton.control("load", "digits")
    assert status == 400 and "f" * 64 in json.dumps(answer)
    assert triton.ready("digits")
    with Detector(triton.http, "digits") as client:
        assert client.infer_and_tell(RED).served.name == "toy"

    add_model(triton.repository, "digits", second.parameters())
    assert triton.control("load", "digits")[0] == 200
    with Detector(triton.http, "digits") as client:
        assert client.served().name == "explicit"

    assert triton.control("unload", "digits")[0] == 200
    assert not triton.ready("digits")


def test_poll_mode_loads_what_was_changed_and_nothing_else(
    start_triton: StartTriton, mlflow_server: Mlflow, toy: Registered, models: Path
) -> None:
    second = mlflow_server.register("polled", models / "toy.onnx", image_size="64")
    triton = start_triton({"digits": toy.parameters()}, None, "--model-control-mode=poll", "--repository-poll-secs=1")
    triton.wait_ready("digits")
    time.sleep(4)
    assert triton.log.count("digits serves 'toy'") == 1, "the model was loaded again although nothing changed"
    add_model(triton.repository, "digits", second.parameters())
    triton.wait_logged("digits serves 'polled' version 1")
    deadline = time.monotonic() + 20
    with Detector(triton.http, "digits") as client:
        while client.infer_and_tell(RED).served.name != "polled":
            assert time.monotonic() < deadline
            time.sleep(0.1)
