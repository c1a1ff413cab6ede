"""The asyncio client against a running Triton: the answers of the blocking one, many at a time."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from yolo_client import AsyncDetector, Detector, NotServing, Protocol, RequestRefused
from yolo_client.letterbox import Floats, Pixels

from tests.support.mlflow import Registered
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")

PROTOCOLS: list[Protocol] = ["http", "grpc"]
both = pytest.mark.parametrize("protocol", PROTOCOLS)


def address(triton: Triton, protocol: Protocol) -> str:
    """Triton's address for a protocol."""
    return triton.http if protocol == "http" else triton.grpc


def red(value: int, side: int = 64) -> Pixels:
    """A picture in which the toy finds one box, as surely as it is red."""
    return np.full((side, side, 3), (value, 0, 0), np.uint8)


@both
def test_it_answers_as_the_blocking_client_does(
    serving: Triton, yolo: Registered, tmp_path: Path, protocol: Protocol
) -> None:
    pictures = [np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8) for seed in range(11)]
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    tensor = np.zeros((2, 3, 64, 64), np.float32)

    async def ask() -> tuple[list[Floats], list[Floats], list[Floats]]:
        async with AsyncDetector(address(serving, protocol), "yolo11n", protocol) as client:
            assert await client.ready() and await client.takes_files()
            assert (await client.config())["max_batch_size"] == 8
            served = await client.served()
            assert (served.version, served.sha256) == (yolo.version, yolo.sha256)
            assert (await client.infer_and_tell(tensor)).served == served
            return (
                await client.detect(pictures, confidence=0.1),
                await client.detect_encoded(paths, confidence=0.1),
                await client.infer(tensor, 0.1, 0.5),
            )

    by_picture, by_file, by_tensor = asyncio.run(ask())
    with Detector(address(serving, protocol), "yolo11n", protocol) as client:
        expected = client.detect(pictures, confidence=0.1)
        files = client.detect_encoded([path.read_bytes() for path in paths], confidence=0.1)
        tensors = client.infer(tensor, 0.1, 0.5)
    assert len(by_picture) == len(by_file) == 11 and sum(map(len, by_picture)) > 20
    for ours, theirs in zip(by_picture + by_file + by_tensor, expected + files + tensors, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@both
def test_many_at_a_time_each_get_their_own_answer(serving: Triton, protocol: Protocol) -> None:
    values = np.linspace(80, 250, 200).astype(int)

    async def ask() -> list[list[Floats]]:
        async with AsyncDetector(address(serving, protocol), "toy", protocol) as client:
            return await asyncio.gather(*(client.detect([red(int(value))]) for value in values))

    found = asyncio.run(ask())
    np.testing.assert_allclose([rows[0, 4] for (rows,) in found], values / 255, atol=1e-4)


@both
def test_one_that_is_refused_leaves_the_others_alone(serving: Triton, protocol: Protocol) -> None:
    async def ask() -> list[list[Floats] | BaseException]:
        async with AsyncDetector(address(serving, protocol), "toy", protocol) as client:
            sizes = [64, 50, 64]
            return await asyncio.gather(
                *(client.detect([red(200)], size=size) for size in sizes), return_exceptions=True
            )

    first, refused, last = asyncio.run(ask())
    assert isinstance(refused, RequestRefused) and "multiples of 32" in str(refused)
    for found in (first, last):
        assert not isinstance(found, BaseException) and found[0].shape == (1, 6)


@both
def test_unknown_model(serving: Triton, protocol: Protocol) -> None:
    async def ask() -> None:
        async with AsyncDetector(address(serving, protocol), "nobody", protocol) as client:
            assert not await client.ready() and not await client.takes_files()
            with pytest.raises(NotServing, match="unknown model: 'nobody'"):
                await client.served()

    asyncio.run(ask())


@both
def test_an_answer_that_is_late(serving: Triton, protocol: Protocol) -> None:
    async def ask() -> None:
        async with AsyncDetector(address(serving, protocol), "yolo11n", protocol, timeout=0.01) as client:
            with pytest.raises(NotServing):
                await client.infer(np.zeros((8, 3, 640, 640), np.float32))

    asyncio.run(ask())
