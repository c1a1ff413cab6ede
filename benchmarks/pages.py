"""The two pages, and how a run puts its part into them: between two marks, so that the text around it is a person's."""

from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
README, RESULTS = HERE / "README.md", HERE / "RESULTS.md"


def write_section(page: Path, name: str, text: str) -> None:
    """Puts text between the page's two marks of that name.

    Raises:
        ValueError: the page lacks them.
    """
    before, _, after = _parts(page, name)
    begin, end = _marks(name)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def section(page: Path, name: str) -> str:
    """What stands between the page's two marks of that name.

    Raises:
        ValueError: the page lacks them.
    """
    return _parts(page, name)[1].strip("\n")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    return ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by a run -->", f"<!-- end of {name} -->"


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    """What is before the first mark, between the two, and after the second."""
    begin, end = _marks(name)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    inside, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{page} has no section between {begin!r} and {end!r}: put both lines back")
    return before, inside, after
