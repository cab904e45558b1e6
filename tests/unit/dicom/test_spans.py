"""Spans of files, copied by the system or by hand."""

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import pytest

from firstread.dicom.spans import chunks, copy_span
from firstread.errors import QuarantineError, Reason

DATA = bytes(range(256)) * 9000  # more than one piece


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("kind", ["file", "both ways", "memory", "spooled"])
@pytest.mark.parametrize("span", [(0, len(DATA)), (5, 1000), (1_000_001, 2_000_003), (7, 7)])
def test_a_span_is_appended_as_it_is(path: Path, tmp_path: Path, kind: str, span: tuple[int, int]) -> None:
    written = tmp_path / "target"
    made: dict[str, Callable[[], IO[bytes]]] = {
        "file": lambda: written.open("wb"),
        "both ways": lambda: written.open("w+b"),
        "memory": io.BytesIO,
        "spooled": SpooledTemporaryFile,
    }
    expected = b"head" + DATA[slice(*span)] + b"tail"
    with path.open("rb") as source, made[kind]() as target:
        target.write(b"head")
        copy_span(source, *span, target)
        target.write(b"tail")
        assert target.tell() == len(expected)
        if kind != "file":
            target.seek(0)
            assert target.read() == expected
    assert kind in ("memory", "spooled") or written.read_bytes() == expected


def test_plain_files_are_copied_by_the_system(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    with path.open("rb") as source, (tmp_path / "target").open("wb") as target:
        monkeypatch.setattr(
            "firstread.dicom.spans.chunks", lambda *span: refuse() if span[1] < span[2] else iter(())
        )
        copy_span(source, 10, len(DATA), target)
    assert (tmp_path / "target").read_bytes() == DATA[10:]


def test_where_the_system_cannot_it_is_done_by_hand(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(22, "not here")

    monkeypatch.setattr(os, "sendfile", fail)
    with path.open("rb") as source, (tmp_path / "target").open("wb") as target:
        copy_span(source, 10, len(DATA), target)
    assert (tmp_path / "target").read_bytes() == DATA[10:]


def test_what_a_reader_decompresses_is_not_copied_from_the_file_below(tmp_path: Path) -> None:
    packed = tmp_path / "source.gz"
    packed.write_bytes(gzip.compress(DATA))
    with (
        gzip.open(packed) as inside,
        io.BufferedReader(inside) as source,
        (tmp_path / "target").open("wb") as target,
    ):
        copy_span(source, 0, len(DATA), target)
    assert (tmp_path / "target").read_bytes() == DATA


@pytest.mark.parametrize("memory", [True, False])
def test_a_span_that_ends_behind_the_file_is_truncated(path: Path, tmp_path: Path, memory: bool) -> None:
    with path.open("rb") as source, io.BytesIO() if memory else (tmp_path / "target").open("wb") as target:
        with pytest.raises(QuarantineError) as caught:
            copy_span(source, 0, len(DATA) + 1, target)
    assert caught.value.reason is Reason.TRUNCATED
    with path.open("rb") as source, pytest.raises(QuarantineError):
        list(chunks(source, len(DATA), len(DATA) + 1))
