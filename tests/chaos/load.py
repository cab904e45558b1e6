"""What a small hospital sends under chaos: pure, and the same for a seed.

Images say in their own bytes what they are, so that whoever reads an object later needs no list of what was sent.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

from tests.support.dicoms import encode, header

ROOT = "1.2.826.0.1.3680043.8.498.77"
_SIDE = 64
_CORRECTED = "corrected"
_FIRST_PIXEL = 1000
_OTHER_PIXEL = 1999
_WITHIN_HEADER = 700


class Kind(StrEnum):
    """What an object is to the instance of its UID."""

    FIRST = "first"
    CORRECTION = "correction"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Image:
    """One object to send.

    Parameters
    ----------
    study_uid, sop_uid
        Original UIDs; "" where it is no image.
    """

    study_uid: str
    sop_uid: str
    kind: Kind
    data: bytes


@dataclass(frozen=True)
class Plan:
    """A study that a door will bring.

    Parameters
    ----------
    number
        Within its door.
    instances
        How many it has in the end.
    late
        How many of them come after it was complete once.
    """

    door: str
    number: int
    modality: str
    instances: int
    late: int = 0
    compressed: bool = False
    stat: bool = False

    @property
    def study_uid(self) -> str:
        return f"{ROOT}.{sum(self.door.encode())}.{self.number}"

    def image(self, index: int, kind: Kind = Kind.FIRST) -> Image:
        """The image with this index, from 1; another kind is a second object with the same UID."""
        sop_uid = f"{self.study_uid}.1.{index}"
        dataset = _header(self, index, sop_uid)
        if kind is Kind.CORRECTION:
            dataset.PatientID = f"{dataset.PatientID}-{_CORRECTED}"
        pixels = _pixels(index, _OTHER_PIXEL if kind is Kind.CONFLICT else _FIRST_PIXEL)
        return Image(self.study_uid, sop_uid, kind, _encoded(dataset, pixels, compressed=self.compressed))


def plans(door: str, seed: int) -> Iterator[Plan]:
    """Yield studies without end."""
    chance = random.Random(f"{seed}/{door}")
    number = 0
    while True:
        number += 1
        kind = chance.choices(("pair", "ct", "compressed"), (6, 4, 1))[0]
        if kind == "pair":
            yield Plan(door, number, "CR", 2, chance.random() < 0.2, stat=chance.random() < 0.2)
        elif kind == "ct":
            instances = chance.randint(5, 30)
            yield Plan(door, number, "CT", instances, chance.choice((0, 0, 0, 1, 3)))
        else:
            yield Plan(door, number, "CT", 2, compressed=True)


def unreadable(chance: random.Random) -> Image:
    """Bytes that are no image, different each time: no DICOM at all, or one that breaks off in its header."""
    if chance.random() < 0.5:
        data = b"not DICOM " + chance.randbytes(32)
    else:
        image = Plan("nobody", chance.getrandbits(60), "CT", 1).image(1)
        data = image.data[:_WITHIN_HEADER]
    return Image("", "", Kind.UNREADABLE, data)


def recognised(data: bytes) -> tuple[str, Kind]:
    """Return the SOP Instance UID of an object, and what it is, by its own bytes."""
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        first = dataset.pixel_array.flat[0]
    except Exception:
        return "", Kind.UNREADABLE
    if str(dataset.PatientID).endswith(_CORRECTED):
        return str(dataset.SOPInstanceUID), Kind.CORRECTION
    return str(dataset.SOPInstanceUID), Kind.CONFLICT if first == _OTHER_PIXEL else Kind.FIRST


def _header(plan: Plan, index: int, sop_uid: str) -> Dataset:
    radiograph = plan.modality == "CR"
    return header(
        SOPInstanceUID=sop_uid,
        StudyInstanceUID=plan.study_uid,
        SeriesInstanceUID=f"{plan.study_uid}.1",
        PatientID=f"MRN-{plan.door}-{plan.number}",
        AccessionNumber=f"{plan.door[:4]}{plan.number}",
        # The child's radiograph is in the population of the shipped model, the CT is in that of none.
        PatientAge="003Y" if radiograph else "042Y",
        PatientBirthDate=None,
        InstanceNumber=index,
        RequestedProcedurePriority="STAT" if plan.stat else None,
        Rows=_SIDE,
        Columns=_SIDE,
        **({} if radiograph else {"SOPClassUID": CTImageStorage, "Modality": "CT", "ViewPosition": None}),
    )


def _pixels(index: int, first: int) -> bytes:
    ramp = np.linspace(_FIRST_PIXEL, _FIRST_PIXEL + 400 + index, _SIDE * _SIDE).astype("<u2")
    return struct.pack("<H", first) + ramp[1:].tobytes()


def _encoded(dataset: Dataset, pixels: bytes, *, compressed: bool) -> bytes:
    data = encode(dataset, ExplicitVRLittleEndian, pixels)
    if not compressed:
        return data
    file = pydicom.dcmread(BytesIO(data))
    file.compress(RLELossless, generate_instance_uid=False)
    target = BytesIO()
    file.save_as(target)
    return target.getvalue()
