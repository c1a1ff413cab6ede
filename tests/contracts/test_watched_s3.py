"""What the trainer fetches from S3, Airflow can watch there: with the trainer's s3fs, on a real S3 protocol."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import free_port, running, tail, until

HERE = Path(__file__).parent


def test_a_changed_object_is_seen_in_a_file_and_in_a_folder(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "s3.log"
    moto = str(Path(sys.executable).with_name("moto_server"))
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    variables = {**access, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "PYTHONPATH": str(ROOT / "plugins")}

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with running([moto, "-H", "127.0.0.1", "-p", str(port)], log):
        until("the S3 server starts", listens, lambda: tail(log))
        program = [str(ROOT / ".venv/trainer/bin/python"), str(HERE / "in_trainer_s3.py")]
        done = subprocess.run(program, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    first, other, *same = said["file"]
    assert first != other and set(same) == {other}
    before, unchanged, rewritten, added, with_slash = said["folder"]
    assert before == unchanged
    assert len({before, rewritten, added}) == 3
    assert added == with_slash and added.endswith(" of 3 files")
    absent, nowhere = said["refused"]
    assert absent.startswith("s3://data/absent.zip cannot be read: FileNotFoundError")
    assert nowhere.startswith("s3://nowhere/letters.zip cannot be read: ")
