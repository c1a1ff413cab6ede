"""No page tells a step that the files do not back: every path, make target and setting that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster import secrets
from cluster.settings import ROOT, load
from tests.support.settings import changed

PAGES = (
    "install-k3s",
    "install-managed-gpu",
    "operations",
    "upgrading",
    "troubleshooting",
    "scaling",
    "images",
    "workflows",
)
FOLDERS = (
    "argocd-apps",
    "charts",
    "clients",
    "cluster",
    "docker",
    "docs",
    "benchmarks",
    "tests",
    "dags",
    "plugins",
    "model_repository",
    "workflows",
)


def page(name: str) -> str:
    """The page's text."""
    return (ROOT / "docs" / f"{name}.md").read_text()


def paths(text: str) -> set[str]:
    """Paths of the repository that a text names; `<environment>` and the like stand for any folder."""
    return {found.rstrip("/.") for found in re.findall(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w<>*./-]*", text)}


@pytest.mark.parametrize("name", PAGES)
def test_every_path_exists(name: str) -> None:
    missing = [path for path in paths(page(name)) if not list(ROOT.glob(re.sub(r"<[^>]*>", "*", path)))]
    # What a person is about to make.
    assert [path for path in missing if path != "argocd-apps/<name>"] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page(name)):
        assert (ROOT / "docs" / target).exists()


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_exists(name: str) -> None:
    known = re.findall(
        r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text() + (ROOT / "cluster" / "cluster.mk").read_text(), re.M
    )
    assert set(re.findall(r"`?make ([a-z][a-z0-9-]+)`?(?=[ `,;:.)\n])", code(page(name)))) <= set(known)


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_exists(name: str) -> None:
    sections = "repository|images|ingress|storage|mlflow|training|secrets"
    named = set(re.findall(rf"`((?:{sections})\.[a-z0-9_]+)[ =`]", page(name)))
    assert named <= set(load().values)


def code(text: str) -> str:
    """What a page shows as commands: between backticks, and its blocks."""
    return "\n".join(re.findall(r"`(?:make [^`]+)`|^make .*$|`make [^`]*$", text, re.M))


def test_the_table_of_secrets_is_complete() -> None:
    text = page("operations")
    everything = changed(load(), **{"ingress.enabled": True, "repository.private": True, "mlflow.artifacts": "s3"})
    for each in secrets.expected(everything):
        rows = [
            line
            for line in text.splitlines()
            if line.startswith("|") and re.search(rf"\b{re.escape(each.name)}\b", line)
        ]
        assert any(all(key in row for key in each.keys) for row in rows), each.name


def test_pins_in_the_docs_are_those_of_the_manifests() -> None:
    text = page("install-k3s")
    for path in (ROOT / "argocd-apps" / "platform").glob("*.yaml"):
        for chart, version in re.findall(r"chart: (\S+)\n\s+targetRevision: (\S+)", Path(path).read_text()):
            assert f"{chart} {version}" in text
