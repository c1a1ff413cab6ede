"""A person's browser: Chromium without a screen, driven by its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import connect

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
# The button of that name which can be pressed, in the middle of the window: where it is then.
BUTTON = """(() => {
  const named = [...document.querySelectorAll("button")].filter(b => b.innerText.trim() === %s && !b.disabled);
  if (named.length !== 1) return null;
  named[0].scrollIntoView({block: "center"});
  const box = named[0].getBoundingClientRect();
  return {x: box.x + box.width / 2, y: box.y + box.height / 2};
})()"""


def program() -> str | None:
    """The Chromium of this machine, if it has one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page of a separate Chromium, until the block ends."""

    def __init__(self, program: str, folder: Path) -> None:
        # Root has no sandbox for its processes, and /dev/shm may be small.
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"]
        self._process = subprocess.Popen(
            [program, *options, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = self._until(lambda: self._port(folder / "DevToolsActivePort"), FileNotFoundError)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as response:
            (page,) = (target for target in json.load(response) if target["type"] == "page")
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(page["webSocketDebuggerUrl"], max_size=None))
        self._numbers = itertools.count(1)

    def open(self, url: str, text: str) -> str:
        """Go to an address, and return the page's text as soon as it has a certain one."""
        self._send("Page.navigate", url=url)
        return str(self._until(lambda: shown if text in (shown := self._text()) else None))

    def press(self, button: str) -> None:
        """Click on a button with the mouse."""
        place = self._until(lambda: self._value(BUTTON % json.dumps(button)))
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def wait_for_image(self, alt: str) -> None:
        """Wait until the page shows the image of that description."""
        shows = f"[...document.images].some(image => image.alt === {json.dumps(alt)} && image.naturalWidth > 0)"
        self._until(lambda: self._value(shows))

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot")["data"])

    def _port(self, file: Path) -> str:
        code = self._process.poll()
        assert code is None, f"{self._process.args!r} ended with {code} before it listened"
        return file.read_text().split()[0]

    def _text(self) -> str:
        return str(self._value("document.body ? document.body.innerText : ''"))

    def _value(self, script: str) -> Any:
        return self._send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def _send(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(60))
            if answer.get("id") == number:
                assert "result" in answer, answer
                return answer["result"]

    def _until(self, look: Any, *pardoned: type[Exception]) -> Any:
        deadline = time.monotonic() + 60
        while True:
            try:
                if found := look():
                    return found
            except pardoned:
                pass
            assert time.monotonic() < deadline, "the page does not show it"
            time.sleep(0.2)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(20)
