"""What counts as a change of the first page, and what a reader who is far behind is told."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from firstread.policy import Role
from portal.logic.live import Change, Live, Said
from portal.logic.worklist import Worklist, WorklistRow


def row(name: str, urgent: bool = False) -> WorklistRow:
    study_uid, _, version = name.partition("@")
    shown: dict[str, Any] = {"study_uid": study_uid, "fingerprint": version, "urgent": urgent}
    return WorklistRow.model_construct(**shown)


def page(names: str, cut: bool = False) -> Worklist:
    shown: dict[str, Any] = {
        "at": "now",
        "next": "more" if cut else "",
        "rows": tuple(map(row, names.split())),
    }
    return Worklist.model_construct(**shown)


def said(*pages: Worklist) -> list[Said]:
    """Return what a reader hears while these pages are read, one after the other."""
    waiting: Iterator[Worklist] = iter(pages)
    signed_in = True

    def read(_: Role) -> Worklist:
        nonlocal signed_in
        try:
            return next(waiting)
        except StopIteration:
            signed_in = False
            return pages[-1]

    async def listen() -> list[Said]:
        live = Live(read, poll_seconds=0, check_seconds=0.02)
        heard = [each async for each in live.follow(Role.RADIOLOGIST, lambda: signed_in)]
        assert not live.is_running
        return heard

    return asyncio.run(listen())


@pytest.mark.parametrize(
    ("before", "after", "rows", "gone"),
    [
        ("a b c", "a b@2 c", "b@2", ""),
        ("a b c", "c a b", "", ""),  # the order alone: the one that made it differs, too
        ("a b c", "a c", "", "b"),
        ("a b", "a b c", "c", ""),
        ("a b", "", "", "a b"),
    ],
)
def test_a_change_is_what_is_new_or_differs_or_went(before: str, after: str, rows: str, gone: str) -> None:
    whole, *changes = said(page(before), page(after))
    assert isinstance(whole, Change) and whole.whole
    assert [mark.study_uid for mark in whole.rows] == before.split()
    if not rows and not gone:
        assert changes == []
        return
    (change,) = changes
    assert isinstance(change, Change) and not change.whole
    assert [f"{mark.study_uid}@{mark.fingerprint}".rstrip("@") for mark in change.rows] == rows.split()
    assert list(change.gone) == gone.split()


def test_what_only_crosses_the_end_of_the_page_is_no_change() -> None:
    _, pushed = said(page("a b c", cut=True), page("n a b", cut=True))
    assert isinstance(pushed, Change)
    assert ([mark.study_uid for mark in pushed.rows], pushed.gone) == (["n"], ())
    _, pulled = said(page("a b c", cut=True), page("b c d", cut=True))
    assert isinstance(pulled, Change)
    assert (pulled.rows, pulled.gone) == ((), ("a",))


def test_a_reader_who_is_far_behind_is_let_go() -> None:
    async def fall_behind() -> int:
        number = 0

        def read(_: Role) -> Worklist:
            nonlocal number
            number += 1
            return page(f"a@{number}")

        live = Live(read, poll_seconds=0, check_seconds=60)
        heard = 0
        async for _ in live.follow(Role.RADIOLOGIST, lambda: True):
            heard += 1
            if heard == 1:
                await asyncio.sleep(1)
        assert not live.is_running
        return heard

    assert asyncio.run(asyncio.wait_for(fall_behind(), 20)) < 40
