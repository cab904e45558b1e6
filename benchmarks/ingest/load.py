"""The hospital as a sender: studies at their times, several at once, through the presigned door."""

import hashlib
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ingest.studies import PROFILE, Kind, images
from firstread.uploads.client import IngestClient, Upload

SENDERS = 6
_AT_ONCE = 20


@dataclass
class SentStudy:
    """One study that was sent.

    Parameters
    ----------
    last_sent
        When S3 acknowledged the last of it (seconds of the epoch).
    acknowledged
        Object key and version -> when S3 acknowledged it.
    """

    kind: Kind
    study_uid: str
    last_sent: float = 0.0
    acknowledged: dict[tuple[str, str], float] = field(default_factory=dict)


def schedule(pace: float, seconds: float, seed: int = 1) -> list[tuple[float, Kind]]:
    """Return when which study begins: each modality evenly, at its own offset, at `pace` times the stress hour."""
    chance = random.Random(seed)
    plan: list[tuple[float, Kind]] = []
    for kind in PROFILE:
        gap = 3600 / (kind.per_hour * pace)
        moment = chance.uniform(0, min(gap, seconds))
        while moment < seconds:
            plan.append((moment, kind))
            moment += gap
    return sorted(plan, key=lambda entry: entry[0])


def send(client: IngestClient, kind: Kind, number: int) -> SentStudy:
    """Send one study as an association would: its images, then the end of the batch."""
    batch = uuid.uuid4().hex
    sent = SentStudy(kind, "")
    with TemporaryDirectory() as folder:
        group: list[Upload] = []
        for index, image in enumerate(images(kind, number), start=1):
            sent.study_uid = image.study_uid
            path = Path(folder) / str(index)
            path.write_bytes(image.data)
            digest = hashlib.sha256(image.data).hexdigest()
            group.append(Upload(path, digest, len(image.data), image.study_uid, image.sop_uid, index, False))
            if len(group) == _AT_ONCE or index == kind.images:
                for done in client.upload(group, batch=batch):
                    sent.acknowledged[done.object_key, done.version_id] = time.time()
                    done.upload.path.unlink()
                group = []
    sent.last_sent = time.time()
    client.end_batch(batch, {sent.study_uid: kind.images})
    return sent


def hospital(client: IngestClient, pace: float, seconds: float, numbers: Iterator[int]) -> list[SentStudy]:
    """Send what an hour brings, for some seconds; return all that was sent, when all of it was."""
    plan = schedule(pace, seconds)
    start = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as pool:
        waiting = []
        for moment, kind in plan:
            time.sleep(max(0.0, start + moment - time.monotonic()))
            waiting.append(pool.submit(send, client, kind, next(numbers)))
        return [each.result() for each in waiting]
