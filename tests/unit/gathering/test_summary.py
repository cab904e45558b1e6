"""What the instances of a study say together."""

import random

from hypothesis import given
from hypothesis import strategies as st

from firstread.gathering.summary import expected, fingerprint, gathering, present
from firstread.study import Instance, InstanceState, mark_of
from tests.support.records import STUDY, T0, T1, T2, instance

HELD = instance("2.25.8", state=InstanceState.HELD, studies_key="")
NOTE = instance("2.25.99", rejects=(mark_of("2.25.1"),))


def facts(each: Instance, **values: object) -> Instance:
    return each.model_copy(update={"facts": each.facts.model_copy(update=values)})


def test_a_gathering_counts_and_describes() -> None:
    seen = gathering(
        STUDY, [instance("2.25.2", received_at=T2, stored_at=T2), instance("2.25.1", received_at=T0), HELD]
    )
    assert (seen.stored_count, seen.held_count, seen.count, seen.arrived_count) == (2, 1, 3, 3)
    assert (seen.first_arrival, seen.last_arrival) == (T0, T2)
    assert seen.modalities == ("CR",)
    assert seen.age_years is None


def test_a_rejection_note_withdraws_and_is_no_image_itself() -> None:
    study = [instance("2.25.1"), instance("2.25.2"), NOTE]
    assert [each.sop_uid for each in present(study)] == ["2.25.2"]
    seen = gathering(STUDY, study)
    assert (seen.stored_count, seen.withdrawn_count, seen.arrived_count) == (1, 1, 3)


def test_a_rejection_note_that_was_given_up_withdraws_nothing() -> None:
    gone = NOTE.model_copy(update={"state": InstanceState.DISCARDED})
    assert [each.sop_uid for each in present([instance("2.25.1"), gone])] == ["2.25.1"]


def test_a_study_of_which_all_is_withdrawn_is_described_by_what_it_was() -> None:
    seen = gathering(STUDY, [instance("2.25.1"), NOTE])
    assert (seen.count, seen.withdrawn_count, seen.modalities) == (0, 1, ("CR",))


def test_what_is_discarded_is_not_part_of_the_study() -> None:
    gone = HELD.model_copy(update={"state": InstanceState.DISCARDED})
    assert gathering(STUDY, [instance(), gone]).held_count == 0


def test_a_fingerprint_changes_with_what_a_version_has_and_not_with_a_correction() -> None:
    one = instance("2.25.1", core_digest="h:p")
    marks = {
        fingerprint([one]),
        fingerprint([one, instance("2.25.2")]),
        fingerprint([one, HELD]),
        fingerprint([one, HELD.model_copy(update={"state": InstanceState.STORED})]),
        fingerprint([one, instance("2.25.2"), NOTE]),
    }
    assert len(marks) == 5
    corrected = one.model_copy(update={"digest": "other", "patient": "P2"})
    assert fingerprint([corrected]) == fingerprint([one])


@given(st.randoms(use_true_random=False))
def test_the_order_of_instances_does_not_matter(chance: random.Random) -> None:
    study = [instance(f"2.25.{n}", received_at=(T0, T1, T2)[n % 3]) for n in range(6)] + [NOTE, HELD]
    seen = gathering(STUDY, study)
    chance.shuffle(study)
    assert gathering(STUDY, study) == seen


def test_headers_tell_how_many_there_should_be() -> None:
    two = [
        facts(instance(f"2.25.{n}"), series_uid=f"2.25.10{n}", study_series=2, series_instances=5)
        for n in (1, 2)
    ]
    assert expected([instance()]) is None
    assert expected([facts(instance(), study_instances=7)]) == 7
    assert expected(two) == 10
    assert expected(two[:1]) is None, "a series has not come yet"
    assert expected([two[0], facts(two[1], series_instances=None)]) is None


def test_haste_is_asked_for_by_a_header_or_a_lane() -> None:
    assert not gathering(STUDY, [instance()]).stat
    assert gathering(STUDY, [facts(instance(), stat=True)]).stat
    assert gathering(STUDY, [instance(object_key="in/urgent/a")]).stat
