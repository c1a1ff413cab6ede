"""Ends Triton where the process of a model has died: by a crash of the engine, or killed because memory ran out.

Triton (2.51) does not start such a process again. The model stays ready and its pod in its Service, and every request
fails after a second, for ever. A server that ends is started again by whoever started it, a kubelet for one.
"""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from model_server.last_words import message_file

SERVER = "tritonserver"
# Seconds for the running requests of the server's other models. Triton itself would wait until --exit-timeout-secs are
# over for those who have kept their connection, and answer them with errors as long.
GRACE = 5
# A line on its input: the model was unloaded. The end of its input without one: the process that held the other end is
# gone. Then Triton has to end, if the process of that number is still the one that started this. From inside of a
# container no signal kills its first process, but the kernel does, where it has had more processor time than it may: a
# second, the least that can be said. A server that has had less ends by its own timeout.
SCRIPT = """
read -r unloaded && exit 0
server=$1 started=$2 file=$3 text=$4 grace=$5
lives() {
    set -- $(cat "/proc/$server/stat" 2>/dev/null)
    [ "${22}" = "$started" ] && [ "$3" != Z ]
}
lives || exit 0
[ -z "$file" ] || printf %s "$text" > "$file"
echo "$text" >&2
kill -TERM "$server"
sleep "$grace"
lives || exit 0
kill -KILL "$server"
sleep 1
lives && prlimit --pid "$server" --cpu=1:1
"""


class CrashWatch:
    """A shell that waits for the end of this process, one of Triton's, and then ends Triton."""

    def __init__(self, title: str, log: Callable[[str], None]) -> None:
        """Begins to watch; a line of the log says so where that cannot be done.

        Args:
            title: the model.
            log: takes a line.
        """
        self._shell: subprocess.Popen[bytes] | None = None
        server = os.getppid()
        text = (
            f"{title}: the process that infers has died, by a crash or because memory ran out, so its server ends, to "
            "be started again. If that happens again: more memory in `resources`, another engine (MODEL_ENGINE), or "
            "the version before it."
        )
        try:
            # Triton's name is one word, so the 22nd field is in its place.
            name, started = _name(server), Path(f"/proc/{server}/stat").read_text().split()[21]
            if name != SERVER:
                log(f"nobody notices if this process dies: the one that started it is {name}, and not {SERVER}")
                return
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", SCRIPT, "crash-watch", str(server), started, message_file(), text, str(GRACE)],
                stdin=subprocess.PIPE,
            )
        except OSError as error:
            log(f"nobody notices if this process dies: {error}")

    def close(self) -> None:
        """Ends the watch: the model is unloaded."""
        if self._shell:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._shell.communicate(b"unloaded\n", timeout=5)


def _name(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()
