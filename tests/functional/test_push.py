"""The door of `firstread push`: what is sent, what is refused, in which order, and what happens when nobody answers."""

import hashlib
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstread import storage
from firstread.gateway.run import running
from firstread.messages import BatchEnded
from firstread.push import Options, Push, Sent
from firstread.uploads.client import PART_BYTES, IngestClient, Upload
from firstread.uploads.contents import Contents, Refusal, RefusedError, ZipLimits, files
from firstread.uploads.errors import RefusedUploadError, UnreachableError
from firstread.uploads.journal import Journal
from tests.support import gateways, ingest
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.loopback import Store, served, store

MIB = 1024 * 1024


class World:
    """An ingest service and S3 on loopback, and a sender."""

    def __init__(self, cloud: Cloud, s3: Store, url: str, folder: Path) -> None:
        self.cloud, self.s3, self.url, self.folder = cloud, s3, url, folder
        self.waited: list[float] = []

    def journal(self) -> Journal:
        return Journal.of(self.folder / "journals", ["the command"])

    def push(
        self, *paths: Path, token: str = ingest.TOKENS["ct1"], options: Options | None = None
    ) -> list[Sent]:
        client = IngestClient(self.url, token, timeout=60)
        door = Push(client, self.journal(), options or Options(), self.waited.append)
        return list(door.send(paths))


@pytest.fixture
def world(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with store(cloud) as s3, served(ingest.app(folder)) as url:

        def moved(made: str) -> str:
            return made.replace("https://s3.amazonaws.com", s3.url)

        form, part = storage.Bucket.form, storage.Bucket.part_url

        def form_there(*arguments: object) -> storage.Form:
            made = form(*arguments)  # type: ignore[arg-type]
            return storage.Form(moved(made.url), made.fields)

        def part_there(*arguments: object) -> storage.PartUrl:
            made = part(*arguments)  # type: ignore[arg-type]
            return storage.PartUrl(moved(made.url), made.headers)

        monkeypatch.setattr(storage.Bucket, "form", form_there)
        monkeypatch.setattr(storage.Bucket, "part_url", part_there)
        yield World(cloud, s3, url, folder)


def archive(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, data in entries.items():
            target.writestr(name, data)
    return path


def refusals(sent: list[Sent]) -> list[Refusal | None]:
    return [each.refusal for each in sent]


def test_a_file_is_sent_whole_and_s3_checks_it(world: World, tmp_path: Path) -> None:
    path = tmp_path / "Quimby^Theodora.dcm"
    path.write_bytes(b"content")
    (sent,) = world.push(path)
    assert sent.receipt is not None
    key = sent.receipt.object_key
    assert key.startswith("in/routine/")
    assert sent.receipt.version_id == world.cloud.s3.head_object(Bucket="incoming", Key=key)["VersionId"]
    assert sent.receipt.sha256 == hashlib.sha256(b"content").hexdigest()
    assert world.cloud.objects("incoming") == {key: b"content"}
    (post,) = world.s3.posts
    assert "Quimby" not in repr(post)
    references = ingest.references(world.folder)
    assert post["x-amz-meta-batch"] == references.batch("ct1", sent.receipt.batch)


def dicom(path: Path, number: int = 1, **values: object) -> Path:
    path.write_bytes(encode(header(SOPInstanceUID=f"1.2.3.{number}", **values)))
    return path


def test_the_end_of_a_push_tells_how_many_instances_each_study_got(world: World, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        dicom(tmp_path / str(number), number)
    dicom(tmp_path / "again", 3)
    dicom(tmp_path / "other", 9, StudyInstanceUID="1.2.9")
    (tmp_path / "text").write_bytes(b"no DICOM")
    sent = world.push(tmp_path)
    (message,) = [BatchEnded.model_validate_json(text) for text in world.cloud.waiting("hints")]
    references = ingest.references(world.folder)
    assert message.studies == {
        references.study("1.2.826.0.1.3680043.8.498.1.1"): 3,
        references.study("1.2.9"): 1,
    }
    (batch,) = {each.receipt.batch for each in sent if each.receipt}
    assert message.batch == references.batch("ct1", batch)
    assert {post["x-amz-meta-batch"] for post in world.s3.posts} == {message.batch}
    assert {post.get("x-amz-meta-study-ref", "") for post in world.s3.posts} == {*message.studies, ""}


def test_a_gateway_and_the_service_mean_the_same_batch(world: World, tmp_path: Path) -> None:
    client = IngestClient(world.url, ingest.TOKENS["ct1"])
    with running(gateways.settings(tmp_path / "spool"), client) as gateway:
        instances = [gateways.instance(number) for number in (1, 2)]
        assert gateways.send(gateway.dimse.port, *instances) == [0, 0]
        gateways.until(lambda: not gateway.spool._all("SELECT 1 FROM batches"))
    (message,) = [BatchEnded.model_validate_json(text) for text in world.cloud.waiting("hints")]
    assert list(message.studies.values()) == [2]
    assert {post["x-amz-meta-batch"] for post in world.s3.posts} == {message.batch}


@pytest.mark.parametrize(
    ("values", "options", "lane"),
    [
        ({}, Options(), "routine"),
        ({"RequestedProcedurePriority": "STAT"}, Options(), "urgent"),
        ({}, Options(urgent=True), "urgent"),
        ({}, Options(backfill=True), "bulk"),
    ],
)
def test_the_lane(
    world: World, tmp_path: Path, values: dict[str, object], options: Options, lane: str
) -> None:
    world.push(dicom(tmp_path / "a", 1, **values), options=options)
    (key,) = world.cloud.objects("incoming")
    assert key.startswith(f"in/{lane}/")


def test_many_files_at_a_time_come_back_in_order(world: World, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02d}").write_bytes(bytes([number]))
    sent = world.push(tmp_path, options=Options(jobs=8))
    assert [each.path.name for each in sent] == [f"{number:02d}" for number in range(30)]
    assert len(world.cloud.objects("incoming")) == 30


@pytest.mark.slow
def test_a_large_file_goes_in_parts(world: World, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2 * PART_BYTES + 5)
    (sent,) = world.push(path)
    assert sent.receipt is not None and sent.receipt.version_id
    head = world.cloud.s3.head_object(Bucket="incoming", Key=sent.receipt.object_key)
    assert head["ContentLength"] == 2 * PART_BYTES + 5
    assert head["Metadata"]["sha256"] == sent.receipt.sha256
    assert world.s3.posts == []


def test_a_token_that_nobody_knows_ends_the_push_at_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(RefusedUploadError) as caught:
        world.push(tmp_path, token="another")
    assert (caught.value.reason, world.waited) == ("unauthorized", [])


def test_nothing_is_sent_in_clear_beyond_this_machine() -> None:
    for url in ("http://hospital.example", "ftp://127.0.0.1", "http://127.0.0.1.example", "http://[", ""):
        with pytest.raises(RefusedUploadError, match="not_https"):
            IngestClient(url, "token")


def times(number: int, answer: tuple[int, bytes]) -> Callable[[str], tuple[int, bytes] | None]:
    left = number

    def refuse(_path: str) -> tuple[int, bytes] | None:
        nonlocal left
        left -= 1
        return answer if left >= 0 else None

    return refuse


@pytest.mark.parametrize(
    "answer",
    [
        (408, b""),
        (503, b"<Error><Code>SlowDown</Code></Error>"),
        (500, b""),
        (403, b"<Error><Code>AccessDenied</Code></Error>"),
    ],
)
def test_what_may_pass_is_tried_again(world: World, tmp_path: Path, answer: tuple[int, bytes]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    world.s3.refuse = times(3, answer)
    (sent,) = world.push(tmp_path)
    assert sent.receipt is not None
    assert len(world.waited) == 3


def test_an_interrupted_push_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        dicom(tmp_path / str(number), number)
    left = iter([None, None])
    world.s3.refuse = lambda _path: next(left, (500, b""))
    with pytest.raises(UnreachableError):
        world.push(tmp_path, options=Options(jobs=1))
    assert len(world.cloud.objects("incoming")) == 2
    world.s3.refuse = lambda _path: None
    sent = world.push(tmp_path, options=Options(jobs=1))
    assert [each.skipped for each in sent] == [True, True, False]
    assert {each.receipt.object_key for each in sent if each.receipt} == set(world.cloud.objects("incoming"))
    (message,) = [BatchEnded.model_validate_json(text) for text in world.cloud.waiting("hints")]
    assert list(message.studies.values()) == [3]
    assert {post["x-amz-meta-batch"] for post in world.s3.posts} == {message.batch}
    # It was done: now all is sent again, as somebody asks for it.
    assert [each.skipped for each in world.push(tmp_path)] == [False] * 3
    assert len(world.cloud.objects("incoming")) == 6


def test_a_journal_that_was_cut_short_is_read_as_far_as_it_goes(world: World, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    journal = world.journal()
    batch = journal.batch
    journal.close()
    (path,) = (world.folder / "journals").iterdir()
    path.write_text(path.read_text() + '["abc')
    (sent,) = world.push(tmp_path)
    assert (sent.skipped, sent.receipt and sent.receipt.batch) == (False, batch)
    assert list((world.folder / "journals").iterdir()) == []


def test_a_file_that_changes_while_it_is_sent_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"four")
    upload = IngestClient.upload

    def late(self: IngestClient, items: list[object], **more: object) -> object:
        (tmp_path / "a").write_bytes(b"five")
        return upload(self, items, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(IngestClient, "upload", late)
    assert refusals(world.push(tmp_path)) == [Refusal.CHANGED]
    monkeypatch.setattr("firstread.push._looked_at", lambda _path: ("0" * 64, 9, None))
    assert refusals(world.push(tmp_path)) == [Refusal.CHANGED]
    assert world.cloud.objects("incoming") == {}


def test_a_hint_that_is_not_taken_fails_nothing(world: World, tmp_path: Path) -> None:
    world.cloud.sqs.delete_queue(QueueUrl=world.cloud.urls["hints"])
    assert world.push(dicom(tmp_path / "a"))[0].receipt is not None


def test_many_studies_are_told_in_several_messages(world: World) -> None:
    counts = {f"1.2.{number}": 1 for number in range(1001)}
    IngestClient(world.url, ingest.TOKENS["ct1"]).end_batch("b-1", {**counts, "no UID": 1})
    told = [BatchEnded.model_validate_json(each).studies for each in world.cloud.waiting("hints")]
    assert sorted(map(len, told)) == [1] + [100] * 10


def test_an_object_with_a_name_that_is_no_uid_is_sent_without_it(world: World, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    upload = Upload(path, hashlib.sha256(b"x").hexdigest(), 1, "1.2.STUDY-7", "1.2.3", 1, False)
    IngestClient(world.url, ingest.TOKENS["ct1"]).upload([upload])
    (key,) = world.cloud.objects("incoming")
    metadata = world.cloud.s3.head_object(Bucket="incoming", Key=key)["Metadata"]
    assert "study-ref" not in metadata and "sop-ref" in metadata


def test_everything_below_a_folder_is_sent_in_order(world: World, tmp_path: Path) -> None:
    for name in ("b/2", "a/1", "c", "b/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    sent = world.push(tmp_path, tmp_path / "c")
    names = [str(each.path.relative_to(tmp_path)) for each in sent]
    assert names == ["c", "a/1", "b/1", "b/2", "c"]
    assert [each.number for each in sent] == [1, 2, 3, 4, 5]
    assert len(world.cloud.objects("incoming")) == 5


def test_what_is_missing_or_unreadable_is_refused_and_the_rest_goes_on(world: World, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"good")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    sent = world.push(tmp_path / "missing", tmp_path)
    assert [(each.path.name, each.refusal) for each in sent] == [
        ("missing", Refusal.NOT_FOUND),
        ("good", None),
        ("link", Refusal.NOT_FOUND),
        ("pipe", Refusal.UNREADABLE),
    ]
    assert len(world.cloud.objects("incoming")) == 1


def test_a_folder_that_cannot_be_listed_is_refused_and_not_passed_over(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (tmp_path / "good").write_bytes(b"good")
    scan = os.scandir

    def refusing(path: str | int) -> object:
        if path == os.fspath(closed):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refusing)
    assert list(files([tmp_path])) == [tmp_path / "good", closed]
    assert refusals(world.push(tmp_path)) == [None, Refusal.UNREADABLE]
    assert len(world.cloud.objects("incoming")) == 1


def test_each_file_of_an_archive_is_sent_and_no_name_of_it(world: World, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"Quimby/": b"", "Quimby/1.dcm": b"one", "Quimby/2.dcm": b"two"})
    sent = world.push(path)
    assert [each.number for each in sent] == [1, 2]
    assert sorted(world.cloud.objects("incoming").values()) == [b"one", b"two"]
    assert "Quimby" not in repr(world.cloud.rows("ledger_table"))
    assert all(each.receipt and "Quimby" not in each.receipt.model_dump_json() for each in sent)


def test_an_archive_in_an_archive_is_one_object_that_nobody_unpacks(world: World, tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", {"x": b"x"}).read_bytes()
    (sent,) = world.push(archive(tmp_path / "outer.zip", {"inner.zip": inner}))
    assert sent.receipt is not None
    assert list(world.cloud.objects("incoming").values()) == [inner]


def test_an_archive_that_inflates_too_far_is_refused_before_anything_is_sent(
    world: World, tmp_path: Path
) -> None:
    bomb = archive(tmp_path / "bomb.zip", {"good": b"good", "bomb": bytes(8 * MIB)})
    assert refusals(world.push(bomb)) == [Refusal.ZIP_INFLATES_TOO_FAR]
    assert world.cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (ZipLimits(entries=1), Refusal.ZIP_TOO_MANY_ENTRIES),
        (ZipLimits(total_bytes=150), Refusal.ZIP_INFLATES_TOO_FAR),
        (ZipLimits(entry_bytes=99), Refusal.ZIP_INFLATES_TOO_FAR),
    ],
)
def test_an_archive_beyond_its_limits_is_refused_whole(
    world: World, tmp_path: Path, limits: ZipLimits, refusal: Refusal
) -> None:
    path = archive(tmp_path / "a.zip", {"1": os.urandom(100), "2": os.urandom(100)})
    assert refusals(world.push(path, options=Options(limits=limits))) == [refusal]
    assert world.cloud.objects("incoming") == {}


def lying(path: Path, size: int) -> Path:
    """Make an archive whose directory declares another size than it inflates to."""
    data = bytearray(archive(path, {"x": bytes(3 * MIB)}).read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<L", size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [0, 10])
def test_an_archive_that_lies_about_a_size_is_refused(world: World, tmp_path: Path, size: int) -> None:
    assert refusals(world.push(lying(tmp_path / "lie.zip", size))) == [Refusal.ZIP_DAMAGED]
    assert world.cloud.objects("incoming") == {}


def test_an_encrypted_archive_is_refused_before_anything_is_sent(world: World, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"open": b"open", "secret": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x03\x04") + 6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refusals(world.push(path)) == [Refusal.ZIP_ENCRYPTED]
    assert world.cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]
)
def test_a_damaged_archive_is_refused(world: World, tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "a.zip", {"x": os.urandom(3000)}, method)
    data = bytearray(path.read_bytes())
    for at in range(60, 2000, 50):
        data[at] ^= 0xFF
    path.write_bytes(data)
    assert refusals(world.push(path)) == [Refusal.ZIP_DAMAGED]
    path.write_bytes(data[: len(data) // 2])
    assert refusals(world.push(path)) == [Refusal.ZIP_DAMAGED]
    assert world.cloud.objects("incoming") == {}


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
    folder = tmp_path_factory.mktemp("unpacked")
    try:
        for content in Contents(folder, ZipLimits(total_bytes=MIB)).of(path):
            assert content.temporary
            content.release()
    except RefusedError as refused:
        assert refused.refusal in Refusal
    assert list(folder.iterdir()) == []
