"""The door of `firstread push`: what is sent, what is refused, and in which order."""

import base64
import hashlib
import io
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstread.push import Push, Refusal, Sent, ZipLimits, files
from firstread.records.instances import LedgerRepository
from firstread.storage import Bucket
from firstread.study import Outcome
from tests.support.cloud import Cloud

MIB = 1024 * 1024


def push(*paths: Path, limits: ZipLimits | None = None) -> list[Sent]:
    return list(Push(Bucket("incoming"), LedgerRepository(), limits or ZipLimits()).send(paths))


def archive(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, data in entries.items():
            target.writestr(name, data)
    return path


def refusals(sent: list[Sent]) -> list[Refusal | None]:
    return [each.refusal for each in sent]


def test_a_file_is_sent_whole_with_its_checksum_and_a_receipt(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "Quimby^Theodora.dcm"
    path.write_bytes(b"content")
    (sent,) = push(path)
    assert sent.receipt is not None
    key = sent.receipt.object_key
    assert key.startswith("in/routine/") and len(key) == 43
    digest = hashlib.sha256(b"content").digest()
    assert sent.receipt.sha256 == digest.hex()
    assert (sent.receipt.size, sent.receipt.source, sent.receipt.outcome) == (7, "push", Outcome.PENDING)
    assert LedgerRepository().get(key, sent.receipt.version_id) == sent.receipt
    assert cloud.objects("incoming") == {key: b"content"}
    (call,) = cloud.wire.sent("PutObject")
    assert call["ChecksumSHA256"] == base64.b64encode(digest).decode()
    assert call["IfNoneMatch"] == "*"
    assert "Quimby" not in repr([name for name in cloud.wire.calls if "Body" not in name[1]])


def test_everything_below_a_folder_is_sent_in_order(cloud: Cloud, tmp_path: Path) -> None:
    for name in ("b/2", "a/1", "c", "b/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    sent = push(tmp_path, tmp_path / "c")
    names = [str(each.path.relative_to(tmp_path)) for each in sent]
    assert names == ["c", "a/1", "b/1", "b/2", "c"]
    assert [each.number for each in sent] == [1, 2, 3, 4, 5]
    assert len(cloud.objects("incoming")) == 5


def test_what_is_missing_or_unreadable_is_refused_and_the_rest_goes_on(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"good")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    sent = push(tmp_path / "missing", tmp_path)
    assert [(each.path.name, each.refusal) for each in sent] == [
        ("missing", Refusal.NOT_FOUND),
        ("good", None),
        ("link", Refusal.NOT_FOUND),
        ("pipe", Refusal.UNREADABLE),
    ]
    assert len(cloud.objects("incoming")) == 1


def test_a_folder_that_cannot_be_listed_is_refused_and_not_passed_over(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (tmp_path / "good").write_bytes(b"good")
    scan = os.scandir

    def refusing(path: str) -> object:
        if os.fspath(path) == os.fspath(closed):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refusing)
    assert list(files([tmp_path])) == [tmp_path / "good", closed]
    assert refusals(push(tmp_path)) == [None, Refusal.UNREADABLE]
    assert len(cloud.objects("incoming")) == 1


def test_each_file_of_an_archive_is_sent_and_no_name_of_it(cloud: Cloud, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"Quimby/": b"", "Quimby/1.dcm": b"one", "Quimby/2.dcm": b"two"})
    sent = push(path)
    assert [each.number for each in sent] == [1, 2]
    assert sorted(cloud.objects("incoming").values()) == [b"one", b"two"]
    assert "Quimby" not in repr(cloud.rows("ledger_table"))
    assert all(each.receipt and "Quimby" not in each.receipt.model_dump_json() for each in sent)


def test_an_archive_in_an_archive_is_one_object_that_nobody_unpacks(cloud: Cloud, tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", {"x": b"x"}).read_bytes()
    (sent,) = push(archive(tmp_path / "outer.zip", {"inner.zip": inner}))
    assert sent.receipt is not None
    assert list(cloud.objects("incoming").values()) == [inner]


def test_an_archive_that_inflates_too_far_is_refused_before_anything_is_sent(
    cloud: Cloud, tmp_path: Path
) -> None:
    bomb = archive(tmp_path / "bomb.zip", {"good": b"good", "bomb": bytes(8 * MIB)})
    assert refusals(push(bomb)) == [Refusal.ZIP_INFLATES_TOO_FAR]
    assert cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (ZipLimits(entries=1), Refusal.ZIP_TOO_MANY_ENTRIES),
        (ZipLimits(total_bytes=150), Refusal.ZIP_INFLATES_TOO_FAR),
        (ZipLimits(entry_bytes=99), Refusal.ZIP_INFLATES_TOO_FAR),
    ],
)
def test_an_archive_beyond_its_limits_is_refused_whole(
    cloud: Cloud, tmp_path: Path, limits: ZipLimits, refusal: Refusal
) -> None:
    path = archive(tmp_path / "a.zip", {"1": os.urandom(100), "2": os.urandom(100)})
    assert refusals(push(path, limits=limits)) == [refusal]
    assert cloud.objects("incoming") == {}


def lying(path: Path, size: int) -> Path:
    """Make an archive whose directory declares another size than it inflates to."""
    data = bytearray(archive(path, {"x": bytes(3 * MIB)}).read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<L", size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [0, 10])
def test_an_archive_that_lies_about_a_size_is_refused(cloud: Cloud, tmp_path: Path, size: int) -> None:
    assert refusals(push(lying(tmp_path / "lie.zip", size))) == [Refusal.ZIP_DAMAGED]
    assert cloud.objects("incoming") == {}


def test_an_encrypted_archive_is_refused_before_anything_is_sent(cloud: Cloud, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"open": b"open", "secret": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x03\x04") + 6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refusals(push(path)) == [Refusal.ZIP_ENCRYPTED]
    assert cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]
)
def test_a_damaged_archive_is_refused(cloud: Cloud, tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "a.zip", {"x": os.urandom(3000)}, method)
    data = bytearray(path.read_bytes())
    for at in range(60, 2000, 50):
        data[at] ^= 0xFF
    path.write_bytes(data)
    assert refusals(push(path)) == [Refusal.ZIP_DAMAGED]
    path.write_bytes(data[: len(data) // 2])
    assert refusals(push(path)) == [Refusal.ZIP_DAMAGED]
    assert cloud.objects("incoming") == {}


def test_an_outage_is_no_refusal(cloud: Cloud, tmp_path: Path) -> None:
    cloud.s3.delete_bucket(Bucket="incoming")
    path = tmp_path / "a"
    path.write_bytes(b"a")
    with pytest.raises(Exception, match="NoSuchBucket"):
        push(path)


class _Nowhere(Push):
    def __init__(self) -> None:
        super().__init__(Bucket("none"), LedgerRepository(), ZipLimits(total_bytes=MIB))

    def _put(self, content: io.BytesIO) -> None:  # type: ignore[override]
        content.read()


def _archive_bytes() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("a", b"some text " * 30)
        writing.writestr("b", bytes(range(256)))
    return target.getvalue()


VALID = _archive_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(4, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_mutated_archive_is_sent_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(VALID)
    for at, value in changes:
        data[at] = value
    path = tmp_path_factory.getbasetemp() / "mutated.zip"
    path.write_bytes(data)
    for sent in _Nowhere().send([path]):
        assert sent.refusal is None or sent.refusal in Refusal
