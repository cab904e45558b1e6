"""The step `describe_series` with records and buckets in memory."""

from collections.abc import Sequence
from typing import cast

import pytest

from firstread.dicomweb.documents import Maker, key_of
from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.held import Held, by_series, images_of
from firstread.gathering.requests import descriptions, follow_ups
from firstread.messages import AnalyzeRequest, DescribeSeriesRequest
from firstread.records.instances import InstanceRepository
from firstread.storage import Bucket
from firstread.study import AnalysisStatus, Instance, InstanceState, mark_of
from functions.describe_series.logic import Described, DescribeSeries
from tests.support.records import MODEL, STUDY, T1, instance, study

REQUEST = DescribeSeriesRequest(study_uid=STUDY, version=1, completed_at=T1)


class World:
    """Records, a maker that remembers whom it was asked for, and a bucket that can be out of reach."""

    def __init__(self, *instances: Instance) -> None:
        self.found = list(instances)
        self.asked: list[list[str]] = []
        self.unreadable: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.away = False

    def of_study(self, study_uid: str) -> list[Instance]:
        return [each for each in self.found if each.study_uid == study_uid]

    def series(self, members: Sequence[Held]) -> bytes:
        names = [each.sop_uid for each in members]
        self.asked.append(names)
        if self.unreadable & set(names):
            raise CannotRenderError("unreadable")
        return ",".join(names).encode()

    def has(self, key: str) -> bool:
        return key in self.objects

    def put(self, key: str, body: bytes, content_type: str) -> None:
        if self.away:
            raise ConnectionError
        assert content_type == "application/gzip"
        self.objects[key] = body

    def describe(self) -> Described:
        step = DescribeSeries(cast("InstanceRepository", self), cast("Maker", self), cast("Bucket", self))
        return step.version(REQUEST)


def image(number: int, series: str = "2.25.2", **values: object) -> Instance:
    made = instance(f"2.25.9.{number}", **values)
    facts = made.facts.model_copy(update={"series_uid": series, "instance_number": number})
    return made.model_copy(update={"facts": facts})


def test_each_series_is_described_once_its_instances_in_order() -> None:
    world = World(image(2), image(1), image(3, "2.25.3"))
    assert world.describe() == Described(made=2)
    assert sorted(world.objects.values()) == [b"2.25.9.1,2.25.9.2", b"2.25.9.3"]
    assert world.describe() == Described(kept=2)
    assert len(world.asked) == 2


def test_a_late_image_is_described_with_its_series_only() -> None:
    world = World(image(1), image(3, "2.25.3"))
    world.describe()
    world.asked.clear()
    world.found.append(image(2))
    assert world.describe() == Described(made=1, kept=1)
    assert world.asked == [["2.25.9.1", "2.25.9.2"]]
    assert len(world.objects) == 3


def test_what_is_held_discarded_or_withdrawn_is_not_described() -> None:
    world = World(
        image(1, state=InstanceState.HELD, studies_key=""),
        image(2, state=InstanceState.DISCARDED),
        image(3),
        image(4, rejects=(mark_of("2.25.9.3"),)),
    )
    assert world.describe() == Described()
    assert (world.asked, world.objects) == ([], {})


def test_one_that_cannot_be_read_leaves_the_others_alone() -> None:
    world = World(image(1), image(3, "2.25.3"))
    world.unreadable = {"2.25.9.1"}
    assert world.describe() == Described(made=1, unreadable=1)


def test_one_that_cannot_be_written_is_tried_again() -> None:
    world = World(image(1))
    world.away = True
    with pytest.raises(ConnectionError):
        world.describe()
    world.away = False
    assert world.describe() == Described(made=1)


def test_the_key_names_the_instances_in_whatever_order() -> None:
    (members,) = by_series(images_of([image(1), image(2)])).values()
    assert key_of(members) == key_of(members[::-1]) != key_of(members[:1])
    assert key_of(members).startswith(f"metadata/{STUDY}/")


def test_a_version_asks_for_its_series_and_its_models() -> None:
    head = study(version=2, completed_at=T1, models=(MODEL,), status=AnalysisStatus.ANALYSING)
    asked = follow_ups(head)
    assert list(asked) == [f"describe#{STUDY}#v000002", f"analyze#{STUDY}#v000002#{MODEL}"]
    described, analysed = asked.values()
    assert described == REQUEST.model_copy(update={"version": 2})
    assert isinstance(analysed, AnalyzeRequest)


@pytest.mark.parametrize("status", [AnalysisStatus.HELD, AnalysisStatus.WITHDRAWN])
def test_a_version_without_images_asks_for_none(status: AnalysisStatus) -> None:
    assert descriptions(study(version=1, completed_at=T1, status=status)) == {}
