"""Reading the documentation as data: headings, sections, code blocks, tables, links."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs"

_HEADING = re.compile(r"(#+) (.+)")
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@cache
def all_pages() -> tuple[Path, ...]:
    """Every page somebody reads, the two at the root included."""
    return (*sorted(DOCS.rglob("*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md")


def name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@cache
def text(page: Path | str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: Path | str, language: str) -> list[str]:
    return [body for kind, body in _BLOCK.findall(text(page)) if kind == language]


def prose(page: Path | str) -> str:
    return _BLOCK.sub("", text(page))


def _parts(page: Path | str) -> Iterator[tuple[int, str, str]]:
    """Yield level, title and own text of every heading."""
    level, title, own = 0, "", ""
    in_block = False
    for line in text(page).splitlines(keepends=True):
        in_block ^= line.lstrip().startswith("```")
        found = None if in_block else _HEADING.match(line)
        if found:
            yield level, title, own
            level, title, own = len(found[1]), found[2].strip(), ""
        else:
            own += line
    yield level, title, own


def sections(page: Path | str, level: int = 2, within: str = "") -> dict[str, str]:
    """Return title -> text of the headings of a level; below the heading `within` of the level above, if given."""
    found: dict[str, str] = {}
    parent = ""
    for depth, title, own in _parts(page):
        if depth == level - 1:
            parent = title
        if depth == level and within in ("", parent):
            if title in found:
                raise AssertionError(f"{page}: {title} twice")
            found[title] = own
    return found


def titles(page: Path | str) -> list[str]:
    return [title for level, title, _ in _parts(page) if level]


def rows(markdown: str) -> list[list[str]]:
    """Return the cells of the body rows of all tables in a text."""
    lines = [line.strip() for line in markdown.splitlines() if line.strip().startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {i for i, row in enumerate(cells) if all(set(cell) <= set(":- ") for cell in row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def code(markdown: str) -> set[str]:
    """Return what stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", markdown))


def links(page: Path) -> list[str]:
    return [first or second for first, second in _LINK.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    seen: set[str] = set()
    for title in titles(page):
        slug = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")
        unique, number = slug, 0
        while unique in seen:
            number += 1
            unique = f"{slug}-{number}"
        seen.add(unique)
    return seen
