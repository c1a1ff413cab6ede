"""The parts of the test suite: where each lies, in which environment it runs, and what it needs to be set up.

A part is a folder of tests, named after the code that it tests: `make test ONLY=gitops` runs `tests/unit/gitops` and
`tests/integration/gitops`. Folders are found, not listed, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITES = ("unit", "integration", "e2e")

# Test folders that stand beside the code that they test: (suite, part, folder).
ELSEWHERE = (
    ("unit", "contracts", "tests/contracts"),
    ("unit", "client", "clients/python/tests"),
    ("unit", "sandbox", "sandbox/tests/unit"),
    ("integration", "sandbox", "sandbox/tests/integration"),
    ("e2e", "e2e", "tests/e2e"),
)
# Code of an image is tested inside that image's environment as it is; everything else in `dev`.
INSIDE = {("unit", "trainer"): "trainer", ("integration", "trainer"): "trainer", ("unit", "model_repository"): "triton"}
# Environments that a part starts programs of, beside the one that it runs in.
STARTS = {
    ("unit", "client"): ("trainer",),
    ("unit", "contracts"): ("trainer", "triton"),
    ("unit", "model_repository"): ("trainer",),
    ("unit", "sandbox"): ("triton",),
    ("integration", "trainer"): ("airflow",),
    ("integration", "monitoring"): ("triton", "trainer"),
    ("integration", "rollouts"): ("sandbox", "triton", "trainer"),
    ("integration", "serving"): ("triton", "trainer"),
    ("e2e", "e2e"): ("airflow", "sandbox", "trainer", "triton"),
}
# Parts whose tests call Debian's programs (apt-packages.txt), and those that check against Argo CD's published types.
DEBIAN = {"charts", "monitoring", "e2e"}
ARGOCD_TYPES = {"charts"}


@dataclass(frozen=True)
class Part:
    """A folder of tests: its suite, its name, and the environment under .venv that it runs in."""

    suite: str
    name: str
    folder: str

    @property
    def environment(self) -> str:
        """Where its tests run."""
        return INSIDE.get((self.suite, self.name), "dev")

    @property
    def environments(self) -> set[str]:
        """All that its set-up makes."""
        return {"dev", "pytest", self.environment, *STARTS.get((self.suite, self.name), ())}


def parts(suites: Iterable[str] = SUITES, only: Iterable[str] = ()) -> list[Part]:
    """The parts of the suites, or those named; `gitops` is also the folder of that name inside `lifecycle`.

    Raises:
        ValueError: there is no part of a name; the message lists those that there are.
    """
    found = [Part(*entry) for entry in ELSEWHERE if (ROOT / entry[2]).is_dir()]
    for suite in ("unit", "integration"):
        folders = sorted(entry for entry in (ROOT / "tests" / suite).iterdir() if any(entry.rglob("test_*.py")))
        found += [Part(suite, entry.name, f"tests/{suite}/{entry.name}") for entry in folders]
    inner = [
        Part(part.suite, part.name, str(folder.relative_to(ROOT)))
        for part in found
        for folder in sorted((ROOT / part.folder).rglob("*/"))
        if any(folder.rglob("test_*.py"))
    ]
    wanted, chosen = set(only), set(suites)
    named = [part for part in found if part.name in wanted]
    named += [part for part in inner if Path(part.folder).name in wanted and part.name not in wanted]
    known = {part.name for part in found} | {Path(part.folder).name for part in inner}
    if missing := wanted - known:
        raise ValueError(f"there is no part {', '.join(sorted(missing))}; there are {', '.join(sorted(known))}.")
    return [part for part in (named if wanted else found) if part.suite in chosen]
