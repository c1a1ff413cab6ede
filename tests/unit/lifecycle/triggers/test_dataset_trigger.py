"""When the watcher of a dataset fires, and what never ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lifecycle.triggers.dataset import DatasetTrigger

from tests.support.processes import free_port
from tests.support.web_files import WebFiles, web_files

SOON = 0.05


class Log:
    """What the trigger said since the last `clear`."""

    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._output.readouterr().out
        return self._text

    def clear(self) -> None:
        self._output.readouterr()
        self._text = ""


class State:
    """Airflow's state store of one asset, as the triggerer gives it to the trigger; a dictionary is its database."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.unreachable = False

    async def aget(self, key: str, default: Any = None) -> Any:
        self._answer()
        return self.kept.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._answer()
        self.kept[key] = value

    def _answer(self) -> None:
        if self.unreachable:
            from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
            from airflow.sdk.execution_time.comms import ErrorResponse

            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))


@pytest.fixture
def web() -> Iterator[WebFiles]:
    with web_files() as served:
        yield served


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Log:
    return Log(capfd)


@asynccontextmanager
async def watching(dataset: str, state: State) -> AsyncIterator[list[dict[str, Any]]]:
    """What the trigger has fired so far, as a triggerer runs it: made from its serialized arguments."""
    path, arguments = DatasetTrigger(pipeline="letters", dataset=dataset, interval=SOON, settle=SOON).serialize()
    assert path == "lifecycle.triggers.dataset.DatasetTrigger"
    trigger = DatasetTrigger(**json.loads(json.dumps(arguments)))
    trigger.asset_state_store = state  # type: ignore[assignment]
    fired: list[dict[str, Any]] = []

    async def run() -> None:
        async for event in trigger.run():
            fired.append(event.payload)

    running = asyncio.create_task(run())
    try:
        yield fired
        assert not running.done(), "the watcher ended"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not check():  # noqa: ASYNC110 — what it waits for is text and files, which set no event
            await asyncio.sleep(0.01)


def test_fires_once_for_a_change_and_not_for_the_first_look_nor_after_a_restart(web: WebFiles, log: Log) -> None:
    state, address = State(), f"{web.url}/letters.zip"

    async def scenario() -> None:
        web.files["/letters.zip"] = {"ETag": '"one"'}
        async with watching(address, state) as fired:
            await until(lambda: f"{address} is watched from now on" in log.text)
            web.files["/letters.zip"] = {"ETag": '"two"'}
            await until(lambda: 'is as it was (etag "two")' in log.text)
            assert fired == [{"dataset": address, "fingerprint": 'etag "two"', "former": 'etag "one"'}]
        log.clear()
        async with watching(address, state) as fired:
            await until(lambda: 'is as it was (etag "two")' in log.text)
            assert fired == []
        web.files["/letters.zip"] = {"ETag": '"three"'}
        async with watching(address, state) as fired:
            await until(lambda: fired)
            assert fired[0]["former"] == 'etag "two"', "a change while nobody looked fires"

    asyncio.run(scenario())


def test_errors_are_said_once_and_the_change_after_them_fires(web: WebFiles, log: Log) -> None:
    state, address = State(), f"{web.url}/letters.zip"

    async def scenario() -> None:
        web.files["/letters.zip"] = {"ETag": '"one"'}
        async with watching(address, state) as fired:
            await until(lambda: state.kept)
            web.files["/letters.zip"] = 403
            await until(lambda: "cannot be read: HTTP 403. letters is not started by its dataset" in log.text)
            web.files["/letters.zip"] = 500
            await until(lambda: "cannot be read: HTTP 500." in log.text)
            assert log.text.count("HTTP 403.") == 1
            web.files["/letters.zip"] = {"ETag": '"two"'}
            await until(lambda: fired)

    asyncio.run(scenario())
    assert all("[warning" in line for line in log.text.splitlines() if "cannot be read: HTTP" in line)


def test_a_server_that_is_down_at_the_start_is_waited_for(log: Log) -> None:
    async def scenario() -> None:
        async with watching(f"http://127.0.0.1:{free_port()}/letters.zip", State()) as fired:
            await until(lambda: "Cannot connect to host 127.0.0.1" in log.text)
            assert fired == []

    asyncio.run(scenario())


def test_an_event_whose_note_was_lost_is_not_fired_again(web: WebFiles, log: Log) -> None:
    state = State()

    async def scenario() -> None:
        web.files["/letters.zip"] = {"ETag": '"one"'}
        async with watching(f"{web.url}/letters.zip", state) as fired:
            await until(lambda: state.kept)
            aget = state.aget

            async def then_unreachable(key: str, default: Any = None) -> Any:
                found = await aget(key, default)
                state.unreachable = web.files["/letters.zip"] == {"ETag": '"two"'}
                return found

            state.aget = then_unreachable  # type: ignore[method-assign]
            web.files["/letters.zip"] = {"ETag": '"two"'}
            await until(lambda: "Airflow's state of the dataset of letters is unreachable" in log.text)
            assert len(fired) == 1
            state.aget, state.unreachable = aget, False  # type: ignore[method-assign]
            await until(lambda: state.kept["fingerprint"] == 'etag "two"')
            assert len(fired) == 1

    asyncio.run(scenario())


def test_a_folder_that_is_still_being_filled_is_waited_for(tmp_path: Path, log: Log) -> None:
    (tmp_path / "0.png").write_bytes(b"0")
    state = State()

    async def scenario() -> None:
        async with watching(str(tmp_path), state) as fired:
            await until(lambda: state.kept)
            number = 0

            async def fill() -> None:
                nonlocal number
                while "is being changed; letters waits" not in log.text:
                    number += 1
                    (tmp_path / f"{number}.png").write_bytes(b"1")
                    await asyncio.sleep(0.01)

            await asyncio.wait_for(fill(), 30)
            assert fired == []
            await until(lambda: fired)
            assert fired[0]["fingerprint"].endswith(f"of {number + 1} files")

    asyncio.run(scenario())
