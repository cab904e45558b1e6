"""What holds for every page: links lead somewhere, code runs, words are ours."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.unit.docs import pages

PAGES = pages.all_pages()
NEGATED = re.compile(r"\b(never|not|no)\b", re.IGNORECASE)
FORBIDDEN = {
    r"(?<![\w.])/(?:work|home|root|mnt)/": "a path of somebody's machine",
    r"(?:\.\./)+shared\b": "a folder that no user has",
    r"\bimage files?\b": "it is an instance",
    r"\bdiagnos(?:es|ed)\b": "FirstRead does not diagnose",
}


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_a_page_has_one_title_and_it_comes_first(page: Path) -> None:
    assert pages.text(page).startswith("# ")
    assert len(re.findall(r"^# ", pages.prose(page), re.MULTILINE)) == 1


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in pages.links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.is_relative_to(pages.REPOSITORY), link
        assert target.exists(), link
        if parts.fragment:
            assert parts.fragment in pages.anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_words(page: Path) -> None:
    for number, line in enumerate(pages.text(page).splitlines(), start=1):
        for pattern, why in FORBIDDEN.items():
            assert not re.search(pattern, line), f"{pages.name(page)}:{number}: {why}"
        # A study without a flag is never called normal.
        if re.search(r"\bnormal\b", line):
            assert NEGATED.search(line), f"{pages.name(page)}:{number}"


@pytest.mark.parametrize("page", [page for page in PAGES if pages.blocks(page, "python")], ids=pages.name)
def test_python_blocks_run(page: Path) -> None:
    for number, block in enumerate(pages.blocks(page, "python"), start=1):
        exec(compile(block, f"{pages.name(page)}, block {number}", "exec"), {})  # noqa: S102 - our own pages


def test_the_index_links_every_page() -> None:
    index = pages.DOCS / "index.md"
    linked = {(index.parent / urlsplit(link).path).resolve() for link in pages.links(index)}
    missing = {page for page in pages.DOCS.rglob("*.md") if page != index} - linked
    assert not {pages.name(page) for page in missing}


def test_make_verbs_are_those_of_the_makefile() -> None:
    makefile = (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    told = {
        verb
        for page in PAGES
        for verb in re.findall(r"`make ([a-z-]+)|^ *\$ make ([a-z-]+)", pages.text(page), re.M)
    }
    used = {one or other for one, other in told}
    assert used <= verbs
    table = pages.sections("CONTRIBUTING.md")["make"]
    assert set(re.findall(r"`make ([a-z-]+)", table)) == verbs - {"help"}


def test_the_layout_names_what_is_there() -> None:
    for folder, _ in pages.rows(pages.sections("CONTRIBUTING.md")["Layout"]):
        assert (pages.REPOSITORY / folder.strip("`")).is_dir(), folder


@pytest.mark.parametrize("page", [page for page in PAGES if pages.blocks(page, "mermaid")], ids=pages.name)
def test_diagrams_are_of_a_known_kind_and_no_text_breaks_them(page: Path) -> None:
    for block in pages.blocks(page, "mermaid"):
        kind = block.split()[0]
        assert kind in {"sequenceDiagram", "flowchart", "stateDiagram-v2"}
        if kind == "sequenceDiagram":
            assert not set(block) & set(";#")  # both end a message's text
