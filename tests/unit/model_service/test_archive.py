"""Archives as anybody may have made them: what is unpacked is plain files below one folder, or nothing is trusted."""

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_service.archive import Limits, pack, unpack
from model_service.errors import BundleError
from model_service.registry import digest

CONTENT = {
    "firstread.yaml": b"name: a\n",
    "models/model.safetensors": bytes(range(256)) * 9,
    "docs/é.md": b"",
}


def folder(path: Path, content: dict[str, bytes] = CONTENT) -> Path:
    for name, body in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(body)
    return path


def packed(path: Path) -> bytes:
    target = io.BytesIO()
    pack(path, target)
    return target.getvalue()


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in entries:
            made.writestr(name, body)
    target.seek(0)
    return target


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    one = folder(tmp_path / "one")
    unpack(io.BytesIO(packed(one)), tmp_path / "two")
    found = {
        p.relative_to(tmp_path / "two").as_posix(): p.read_bytes() for p in (tmp_path / "two").rglob("*.*")
    }
    assert found == CONTENT
    assert digest(tmp_path / "two") == digest(one)


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    one = folder(tmp_path / "one")
    two = folder(tmp_path / "two", dict(reversed(CONTENT.items())))
    os.utime(two / "firstread.yaml", (0, 0))
    (two / "firstread.yaml").chmod(0o600)
    (two / "__pycache__").mkdir()
    (two / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert packed(one) == packed(two)
    (two / "firstread.yaml").write_bytes(b"name: b\n")
    assert packed(one) != packed(two) and digest(one) != digest(two)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside", "a/../../outside", "..", "c:\\windows\\x", "a\\..\\b", "C:x", "a/../b", ""],
)
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    with pytest.raises(BundleError):
        unpack(archive((zipfile.ZipInfo(name), b"x")), inside)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("models/model.safetensors")
    entry.external_attr = (kind | 0o777) << 16
    with pytest.raises(BundleError, match="link"):
        unpack(archive((entry, b"/etc/passwd")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_limits_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    bomb = archive(("a", bytes(200_000)), ("b", b""), ("c", b""))
    for limits in (Limits(total_bytes=199_999), Limits(files=2)):
        with pytest.raises(BundleError, match="more than"):
            unpack(bomb, tmp_path, limits)
    assert list(tmp_path.iterdir()) == []
    unpack(bomb, tmp_path, Limits(files=3, total_bytes=200_000))


def test_a_size_that_lies_is_not_believed(tmp_path: Path) -> None:
    content = bytearray(archive(("a", bytes(200_000))).getvalue())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 10)
    with pytest.raises(BundleError):
        unpack(io.BytesIO(bytes(content)), tmp_path, Limits(total_bytes=100))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 10


@pytest.mark.parametrize("names", [("a", "A"), ("a", "a/b"), ("a/b", "a")])
def test_names_that_collide_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BundleError):
        unpack(archive(*((name, b"x") for name in names)), tmp_path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive(("a", b"x")).getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BundleError, match="encrypted"):
        unpack(io.BytesIO(bytes(content)), tmp_path)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1), bite=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_damage_is_a_bundle_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, where: float, bite: bytes, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damaged")
    content = bytearray(packed(folder(path / "one")))
    at = int(where * (len(content) - 1))
    content[at : at + len(bite)] = bite
    target = path / "deep" / "two"
    target.mkdir(parents=True)
    try:
        unpack(io.BytesIO(bytes(content[:at] if cut else content)), target)
    except BundleError:
        pass
    outside = {each.name for each in (path / "deep").iterdir()}
    assert outside == {"two"}
