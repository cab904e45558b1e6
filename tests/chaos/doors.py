"""Senders as hospitals have them: each tries again until everything it brings is acknowledged."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pydicom
import urllib3
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
)
from pynetdicom import AE

from firstread.push import Options, Push
from firstread.uploads.client import IngestClient
from firstread.uploads.errors import UploadError
from firstread.uploads.journal import Journal
from tests.chaos.load import Image, Kind
from tests.support.ingest import MULTIPART, body
from tests.support.system import CALLER, GATEWAY, STOW, TITLE, GatewayProcess, Run

_PAUSE = 0.5
_TIMEOUT = 20.0
_SUCCESS = 0x0000
_HELD_CONFLICT = 45070


@dataclass
class Acknowledged:
    """What doors have acknowledged, by door.

    Parameters
    ----------
    images
        SOP Instance UID -> kinds of objects that were acknowledged.
    unreadable
        Number of acknowledged objects that are no images.
    tries
        Number of requests, associations and pushes, those that failed included.
    """

    images: dict[str, set[Kind]] = field(default_factory=dict)
    unreadable: int = 0
    objects: int = 0
    tries: int = 0

    def add(self, image: Image) -> None:
        self.objects += 1
        if image.kind is Kind.UNREADABLE:
            self.unreadable += 1
        else:
            self.images.setdefault(image.sop_uid, set()).add(image.kind)


class Door(Protocol):
    """One way in."""

    acknowledged: Acknowledged
    takes_anything: bool

    def bring(self, images: Sequence[Image]) -> list[Image]:
        """Send images once; return those that were not acknowledged."""


def bring(door: Door, images: Sequence[Image], hopeless: Callable[[], bool]) -> None:
    """Send images until all of them are acknowledged.

    Raises
    ------
    TimeoutError
        If `hopeless()` says so first.
    """
    left = list(images)
    while left:
        door.acknowledged.tries += 1
        left = door.bring(left)
        if left:
            if hopeless():
                raise TimeoutError(f"{len(left)} objects were never acknowledged")
            time.sleep(_PAUSE)


class Stow:
    """DICOMweb: one request per study."""

    takes_anything = False

    def __init__(self, run: Run) -> None:
        self.acknowledged = Acknowledged()
        self._url = f"{run.ingest_url}/ingest/studies"
        token = run.token_file(STOW).read_text()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": MULTIPART}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def bring(self, images: Sequence[Image]) -> list[Image]:
        try:
            answer = self._pool.request(
                "POST", self._url, headers=self._headers, body=body(*(image.data for image in images))
            )
            if answer.status not in (200, 202, 409):
                return list(images)
            said = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return list(images)
        kept = {item["00081155"]["Value"][0] for item in said.get("00081199", {}).get("Value", [])}
        kept |= {
            item["00081155"]["Value"][0]
            for item in said.get("00081198", {}).get("Value", [])
            if item["00081197"]["Value"][0] == _HELD_CONFLICT
        }
        left = []
        for image in images:
            if image.sop_uid in kept:
                self.acknowledged.add(image)
            else:
                left.append(image)
        return left


class Storage:
    """DIMSE: one association per study, to the gateway."""

    takes_anything = False

    def __init__(self, gateway: GatewayProcess) -> None:
        self.acknowledged = Acknowledged()
        self._port = gateway.port

    def bring(self, images: Sequence[Image]) -> list[Image]:
        entity = AE(CALLER)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
        for context in (ComputedRadiographyImageStorage, CTImageStorage):
            for syntax in (ExplicitVRLittleEndian, RLELossless):
                entity.add_requested_context(context, syntax)
        association = entity.associate("127.0.0.1", self._port, ae_title=TITLE)
        left = list(images)
        try:
            while left and association.is_established:
                status = association.send_c_store(pydicom.dcmread(BytesIO(left[0].data)))
                if status.get("Status") != _SUCCESS:
                    break
                self.acknowledged.add(left.pop(0))
        except (RuntimeError, OSError):
            pass  # the association is gone; another one follows
        finally:
            if association.is_established:
                association.release()
        return left


class Uploads:
    """`firstread push`, as the library does it: presigned uploads, resumed after whatever stopped it."""

    takes_anything = True

    def __init__(self, run: Run) -> None:
        self.acknowledged = Acknowledged()
        self._run = run
        self._lock = threading.Lock()

    def bring(self, images: Sequence[Image]) -> list[Image]:
        token = self._run.token_file("push").read_text()
        with TemporaryDirectory() as name:
            folder = Path(name)
            paths = {folder / f"{number}": image for number, image in enumerate(images)}
            for path, image in paths.items():
                path.write_bytes(image.data)
            push = Push(
                IngestClient(self._run.ingest_url, token, _TIMEOUT),
                Journal(folder / "journal"),
                Options(jobs=2),
                sleep=lambda _seconds: time.sleep(_PAUSE),
            )
            left = dict(paths)
            try:
                for sent in push.send(list(paths)):
                    if sent.receipt is not None:
                        self.acknowledged.add(left.pop(sent.path))
            except UploadError:
                pass  # whoever pushes tries again
        return list(left.values())


def doors(run: Run, gateway: GatewayProcess) -> dict[str, Door]:
    """Return every way in, by the name of its source."""
    return {STOW: Stow(run), GATEWAY: Storage(gateway), "push": Uploads(run)}
