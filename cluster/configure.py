"""Write the settings to those lines of the manifests that are marked with `# settings: <key>`, and to no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import SettingsError
from cluster.settings import ROOT, Settings

FOLDERS = ("argocd-apps", "charts/platform")
# `key: value # settings: a.b` or `- value # settings: a.b`
MARKED = re.compile(
    r"(?P<before>\s*(?:- )?(?:[\w./-]+: )?)(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s\"#]+) # settings: (?P<key>[\w.-]+)"
)
PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+-]*")


@dataclass(frozen=True)
class Line:
    """A marked line: where it is, what it says and what it should say."""

    path: Path
    number: int
    key: str
    now: str
    wanted: str

    def __str__(self) -> str:
        return (
            f"{self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path}:{self.number} {self.key}"
        )


def marked_lines(settings: Settings, root: Path = ROOT) -> Iterator[Line]:
    """Every marked line.

    Raises:
        SettingsError: a mark names a setting that there is not, or stands on a line that has no value.
    """
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.yaml")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                # Only at the line's end: a comment may speak of marks.
                if not re.search(r"\S # settings: [\w.-]+$", line):
                    continue
                yield _line(settings, path, number, line)


def _line(settings: Settings, path: Path, number: int, line: str) -> Line:
    found = MARKED.fullmatch(line)
    if not found or found["key"] not in settings.values:
        raise SettingsError(
            f"{path}:{number}: {line.strip()!r} is marked, but "
            + (f"cluster/settings.toml has no {found['key']}. " if found else "is not one value and its mark. ")
            + "Correct the line, or add the setting."
        )
    quoted = found["value"].startswith('"')
    value = settings.text(found["key"])
    bare = isinstance(settings.values[found["key"]], bool | int) or PLAIN.fullmatch(value) is not None
    wanted = value if bare and not quoted else json.dumps(value)
    return Line(path, number, found["key"], line, f"{found['before']}{wanted} # settings: {found['key']}")


def differences(settings: Settings, root: Path = ROOT) -> list[Line]:
    """Marked lines that say something else than the settings."""
    return [line for line in marked_lines(settings, root) if line.now != line.wanted]


def write(settings: Settings, root: Path = ROOT) -> list[Line]:
    """Bring every marked line to the settings; the lines that were changed."""
    changed = differences(settings, root)
    for path in dict.fromkeys(line.path for line in changed):
        lines = path.read_text().split("\n")
        for line in changed:
            if line.path == path:
                lines[line.number - 1] = line.wanted
        path.write_text("\n".join(lines))
    return changed


def environment_problems(settings: Settings, root: Path = ROOT) -> list[str]:
    """Where the environments of the settings, the folders and the manifests do not agree."""
    problems = []
    for name in settings.environments:
        if not (root / "argocd-apps" / name / "environment.yaml").is_file():
            problems.append(f"argocd-apps/{name}/environment.yaml is missing; copy the folder of another environment")
        for path in ("project.yaml", "platform/project.yaml"):
            if f"namespace: {name}\n" not in (root / "argocd-apps" / path).read_text():
                problems.append(f"argocd-apps/{path} allows no namespace {name}; add it to spec.destinations")
        for path, mark in (("argo-cd.yaml", "its label"), ("foundation.yaml", "its entry in `environments`")):
            if f"# settings: environments.{name}\n" not in (root / "charts" / "platform" / path).read_text():
                problems.append(f"charts/platform/{path} does not have {mark} for {name}; copy another environment's")
    return problems + _collisions(root)


def _collisions(root: Path) -> list[str]:
    """Folders whose Applications would have one name: staging-a/b and staging/a-b."""
    folders: dict[str, list[str]] = {}
    for path in sorted((root / "argocd-apps").glob("*/*/values.yaml")):
        environment, app = path.parts[-3:-1]
        folders.setdefault(f"{environment}-{app}", []).append(f"argocd-apps/{environment}/{app}")
    return [
        f"{' and '.join(found)} are both the Application {name}; rename one of them"
        for name, found in folders.items()
        if len(found) > 1
    ]
