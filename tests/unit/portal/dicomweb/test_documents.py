"""The metadata of one instance, before and after that of its series is made."""

import gzip
import io
import json
from typing import cast

import pytest

from firstread.dicomweb.held import Held, Place
from firstread.errors import NotFoundError
from firstread.storage import Bucket, Piece
from portal.logic.dicomweb.documents import Documents
from tests.browser.phantoms import ct

COUNT = 9


class Shelf:
    """A bucket in memory that remembers whose bytes were read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []

    def piece(self, key: str, start: int, length: int) -> Piece:
        self.read.append(key)
        return Piece(self.objects[key][start : start + length], len(self.objects[key]))

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError
        return self.objects[key]

    def put(self, key: str, body: bytes, _: str) -> None:
        self.objects[key] = body


def series(shelf: Shelf, modality: str) -> list[Held]:
    """Store a series without windows, and return its objects."""
    members = []
    for number, dataset in enumerate(ct(COUNT, 16)):
        dataset.Modality = modality
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.1", "2.25.2"
        dataset.SOPInstanceUID = f"2.25.2.{number}"
        for keyword in ("WindowCenter", "WindowWidth"):
            if keyword in dataset:
                delattr(dataset, keyword)
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        shelf.objects[f"studies/{number}"] = file.getvalue()
        members.append(
            Held(
                "2.25.1",
                "2.25.2",
                f"2.25.2.{number}",
                dataset.SOPClassUID,
                Place.STUDIES,
                f"studies/{number}",
            )
        )
    return members


def documents(shelf: Shelf) -> Documents:
    bucket = cast("Bucket", shelf)
    return Documents({Place.STUDIES: bucket}, bucket)


@pytest.mark.parametrize(
    ("modality", "read"), [("CT", {"studies/0"}), ("MR", {"studies/0", f"studies/{COUNT // 2}"})]
)
def test_one_instance_of_a_series_that_nobody_has_read_costs_no_more_than_it_takes(
    modality: str, read: set[str]
) -> None:
    shelf = Shelf()
    members = series(shelf, modality)
    (alone,) = json.loads(gzip.decompress(documents(shelf).instance(members, members[0])))
    assert set(shelf.read) == read
    assert alone == documents(shelf).datasets(members)[0]  # with the window of the whole series
    assert alone["00281050"]["Value"]


def test_one_instance_of_a_series_that_was_read_costs_no_object() -> None:
    shelf = Shelf()
    members = series(shelf, "CT")
    whole = documents(shelf).datasets(members)
    shelf.read.clear()
    for _ in range(2):
        (alone,) = json.loads(gzip.decompress(documents(shelf).instance(members, members[4])))
        assert alone == whole[4]
    assert shelf.read == []
