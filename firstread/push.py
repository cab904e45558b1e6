"""The door of `firstread push`: files, folders and zip archives to the ingest service, several at a time."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TypeVar

from firstread.clock import now, to_text
from firstread.dicom.identify import Identifiers, identify
from firstread.errors import QuarantineError
from firstread.receipt import Receipt
from firstread.sources import PUSH
from firstread.uploads.client import IngestClient, Upload, Uploaded
from firstread.uploads.contents import Content, Contents, Refusal, RefusedError, ZipLimits, files
from firstread.uploads.errors import BusyError, RefusedUploadError, UnreachableError, UploadError
from firstread.uploads.journal import Journal

_CHUNK = 1024 * 1024
_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
_REFUSALS = {"too_large": Refusal.TOO_LARGE, "changed": Refusal.CHANGED, "other_bytes": Refusal.CHANGED}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Sent:
    """What became of one thing that was to be sent.

    Parameters
    ----------
    number
        Counts from 1, in the order of the walk.
    path
        For the person who pushes; not sent anywhere.
    receipt
        None where it was refused.
    skipped
        An earlier run of the same command, interrupted, has sent it.
    """

    number: int
    path: Path
    receipt: Receipt | None = None
    refusal: Refusal | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Options:
    """How to push.

    Parameters
    ----------
    jobs
        Objects at a time.
    urgent
        All of it is STAT.
    backfill
        Nobody waits for it.
    limits
        For archives.
    """

    jobs: int = 4
    urgent: bool = False
    backfill: bool = False
    limits: ZipLimits = field(default_factory=ZipLimits)


@dataclass
class _Studies:
    """What was sent of each study, by original UIDs; in memory only."""

    instances: dict[str, set[str]] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def number(self, study_uid: str) -> int:
        with self.lock:
            self.numbers[study_uid] += 1
            return self.numbers[study_uid]

    def add(self, study_uid: str, sop_uid: str) -> None:
        with self.lock:
            if study_uid:
                self.instances.setdefault(study_uid, set()).add(sop_uid)


class Push:
    """Sends objects.

    Parameters
    ----------
    client
        Of the ingest service.
    journal
        Of this command.
    options
        How to.
    sleep
        Waits so many seconds.
    """

    def __init__(
        self,
        client: IngestClient,
        journal: Journal,
        options: Options = Options(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._journal, self._options, self._sleep = client, journal, options, sleep

    def send(self, paths: Iterable[Path]) -> Iterator[Sent]:
        """Send everything under the paths; what is refused is yielded with its reason, and the rest goes on.

        Raises
        ------
        UploadError
            If the service does not answer for long, or refuses the sender; the journal is kept.
        """
        studies = _Studies()
        try:
            yield from self._send(paths, studies)
            self._end(studies)
        except BaseException:
            self._journal.close()
            raise
        self._journal.forget()

    def _send(self, paths: Iterable[Path], studies: _Studies) -> Iterator[Sent]:
        waiting: deque[Future[Sent]] = deque()
        pool = ThreadPoolExecutor(self._options.jobs, "push")
        with TemporaryDirectory() as folder:
            try:
                for sent, content in self._found(Contents(Path(folder), self._options.limits), paths):
                    waiting.append(pool.submit(self._one, sent, content, studies))
                    # So few wait that archives are unpacked no faster than they are sent.
                    while len(waiting) > 2 * self._options.jobs or (waiting and waiting[0].done()):
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _found(self, contents: Contents, paths: Iterable[Path]) -> Iterator[tuple[Sent, Content | None]]:
        number = 0
        for path in files(paths):
            try:
                for content in contents.of(path):
                    number += 1
                    yield Sent(number, path), content
            except RefusedError as refused:
                number += 1
                yield Sent(number, path, refusal=refused.refusal), None
            except FileNotFoundError:
                number += 1
                yield Sent(number, path, refusal=Refusal.NOT_FOUND), None
            except OSError:
                number += 1
                yield Sent(number, path, refusal=Refusal.UNREADABLE), None

    def _one(self, sent: Sent, content: Content | None, studies: _Studies) -> Sent:
        if content is None:
            return sent
        try:
            sha256, size, found = _looked_at(content.path)
            return self._upload(sent, content, sha256, size, found, studies)
        except FileNotFoundError:
            return replace(sent, refusal=Refusal.NOT_FOUND)
        except OSError:
            return replace(sent, refusal=Refusal.UNREADABLE)
        finally:
            content.release()

    def _upload(
        self,
        sent: Sent,
        content: Content,
        sha256: str,
        size: int,
        found: Identifiers | None,
        studies: _Studies,
    ) -> Sent:
        study_uid, sop_uid = (found.study_uid, found.sop_uid) if found else ("", "")
        number = studies.number(study_uid)
        known = self._journal.find(sha256, size)
        if known:
            studies.add(study_uid, sop_uid)
            return replace(sent, receipt=self._receipt(*known, sha256, size), skipped=True)
        urgent = self._options.urgent or (found is not None and found.stat)
        upload = Upload(content.path, sha256, size, study_uid, sop_uid, number, urgent)
        try:
            uploaded = self._patiently(partial(self._send_one, upload))
        except RefusedUploadError as refused:
            if refused.reason in _REFUSALS:
                return replace(sent, refusal=_REFUSALS[refused.reason])
            raise
        self._journal.add(uploaded)
        studies.add(study_uid, sop_uid)
        return replace(sent, receipt=self._receipt(uploaded.object_key, uploaded.version_id, sha256, size))

    def _send_one(self, upload: Upload) -> Uploaded:
        batch, backfill = self._journal.batch, self._options.backfill
        return self._client.upload([upload], batch=batch, backfill=backfill)[0]

    def _receipt(self, key: str, version_id: str, sha256: str, size: int) -> Receipt:
        return Receipt(
            object_key=key,
            version_id=version_id,
            source=PUSH,
            received_at=to_text(now()),
            size=size,
            sha256=sha256,
            batch=self._journal.batch,
        )

    def _end(self, studies: _Studies) -> None:
        """Say how many instances each study got; without it a study is complete after its quiet time."""
        counts = {study: len(instances) for study, instances in studies.instances.items()}
        try:
            self._patiently(partial(self._client.end_batch, self._journal.batch, counts))
        except UploadError:
            return  # everything is there, and that is what counts

    def _patiently(self, attempt: Callable[[], _Result]) -> _Result:
        for delay in _DELAYS:
            try:
                return attempt()
            except BusyError as busy:
                self._sleep(max(delay, busy.retry_after))
            except UnreachableError:
                self._sleep(delay)
            except RefusedUploadError as refused:
                if refused.reason != "expired":  # a new try asks for a new signature
                    raise
                self._sleep(delay)
        return attempt()


def _looked_at(path: Path) -> tuple[str, int, Identifiers | None]:
    """Return digest, size and identifiers of a file; what is no DICOM is sent as well, and held with a reason."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        try:
            found = identify(file)
        except QuarantineError:
            found = None
    return digest.hexdigest(), size, found
