"""Instances are separate processes, and know when another one is at work."""

import subprocess
import sys
from pathlib import Path

import pytest
from model_server.cpu import Threads, cpu_limit, threads_of
from model_server.instances import Instances, instances_of

SHARED = Path(__file__).resolve().parents[3] / "model_repository" / "shared"
# Says when it is at work, and stops when it is told to; killed in the middle where the second line is "die".
OTHER = """
import os, sys
from pathlib import Path
from model_server.instances import Instances
instances = Instances(Path(sys.argv[1]), 1, 2)
with instances.at_work():
    print("at work", flush=True)
    if input() == "die":
        os._exit(9)
print("idle", flush=True)
input()
"""


def test_another_process_at_work_is_seen_and_a_killed_one_only_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "instances"
    mine = Instances(path, 0, 2)
    assert mine.alone
    for end in ("go on", "die"):
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)],
            env={"PYTHONPATH": str(SHARED), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with other:
            assert other.stdin and other.stdout
            assert other.stdout.readline() == "at work\n"
            assert not mine.alone
            with mine.at_work():
                assert not mine.alone
            print(end, file=other.stdin, flush=True)
            if end == "go on":
                assert other.stdout.readline() == "idle\n"
                assert mine.alone
            other.stdin.close()
    assert not mine.alone, "nobody has said otherwise"
    Instances(path, 1, 2)
    assert mine.alone


def test_an_error_at_work_ends_it(tmp_path: Path) -> None:
    one, other = (Instances(tmp_path / "instances", number, 2) for number in range(2))
    with pytest.raises(ValueError, match="wrong"), one.at_work():
        assert not other.alone
        raise ValueError("wrong")
    assert other.alone


def test_instances_by_the_names_that_triton_gives_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second, of_other_model = (
        instances_of(model, name, 2, print) for model, name in (("a", "a_0_0"), ("a", "a_0_1"), ("b", "b_0_0"))
    )
    with first.at_work():
        assert (second.alone, of_other_model.alone, first.alone) == (False, True, True)
    assert len(list(tmp_path.iterdir())) == 2
    lone = instances_of("c", "c", 1, print)
    with lone.at_work():
        assert lone.alone
    first.leave()
    with first.at_work():
        assert not second.alone
    for each in (second, of_other_model, lone):
        each.leave()
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_the_file_each_keeps_to_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    said: list[str] = []
    instances = instances_of("a", "a_0_1", 2, said.append)
    with instances.at_work():
        assert not instances.alone
    assert not instances.alone
    instances.leave()
    (line,) = said
    assert "absent" in line and "share of processors" in line
    assert instances_of("a", "a_0_0", 1, said.append).alone


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    assert not instances_of("a", "a_0_0", 2, said.append).alone
    assert "No space left" in said[0]


@pytest.mark.parametrize(("instances", "beside"), [(1, cpu_limit()), (cpu_limit(), 1), (64, 1)])
def test_processors_are_shared_by_instances_at_work_and_all_of_the_one_that_is_by_itself(
    instances: int, beside: int
) -> None:
    assert threads_of(None, instances) == Threads(cpu_limit(), beside)
    assert threads_of(3, instances) == Threads(3, 3)
