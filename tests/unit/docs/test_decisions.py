"""Decisions are one page each, and the one on dependencies is complete."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.unit.docs import pages

DECISIONS = sorted((pages.DOCS / "adr").glob("*.md"))
ONE_PAGE = 60


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_form(page: Path) -> None:
    assert list(pages.sections(page)) == ["Context", "Decision", "Consequences"]
    number = page.name[:4]
    lines = pages.text(page).splitlines()
    assert lines[0].startswith(f"# {number}. ")
    assert re.match(r"Date: \d{4}-\d\d-\d\d\. Status: (accepted|superseded by \[\d{4}\])", lines[2])
    assert len(lines) <= ONE_PAGE


def test_numbers_are_without_gaps() -> None:
    assert [page.name[:4] for page in DECISIONS] == [f"{i:04d}" for i in range(1, len(DECISIONS) + 1)]


def test_the_index_repeats_each_title() -> None:
    index = pages.prose(pages.DOCS / "index.md")
    for page in DECISIONS:
        title = pages.titles(page)[0].partition(". ")[2]
        assert f"[{page.name[:4]}](adr/{page.name}) {title}\n" in index


def test_every_direct_dependency_has_its_reason() -> None:
    with (pages.REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"].values()
    wanted = {
        re.split(r"[\[<>=!~ ]", requirement)[0]
        for requirement in [*project["dependencies"], *(each for extra in extras for each in extra)]
    } - {"firstread"}
    table = pages.rows(pages.sections("docs/adr/0006-dependencies.md")["Decision"])
    told = {name for names, _, _ in table for name in names.split(", ")}
    assert told == wanted


def test_the_lock_is_of_every_extra_but_one() -> None:
    with (pages.REPOSITORY / "pyproject.toml").open("rb") as file:
        extras: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    held: set[str] = set()
    wanted = {"dev"}
    while wanted:
        held |= wanted
        named = (re.match(r"firstread\[(.*)\]", each) for extra in wanted for each in extras[extra])
        wanted = {name for found in named if found for name in found[1].split(",")} - held
    assert held == set(extras) - {"tensorflow"}
    lock = (pages.REPOSITORY / "requirements.lock").read_text()
    assert "--extra dev" in lock and "\ntensorflow" not in lock
