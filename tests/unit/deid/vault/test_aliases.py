"""Merges are aliases: they move new studies, can be taken back, and never make a circle."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from firstread.deid.vault import IdentityVault, MergeError, PatientPseudonym
from firstread.deid.vault.aliases import ALIAS, MAX_HOPS, Aliases, PatientKey
from firstread.deid.vault.audit import Guard
from firstread.deid.vault.errors import RefusedError
from firstread.deid.vault.rows import Payload, Rows
from firstread.deid.vault.steward import VaultSteward
from firstread.errors import TransientError
from firstread.policy import Actor, Role
from tests.support.vaults import MemoryStore

KEY = b"k" * 32
ANN, BEN, CAT = (PatientKey("A", number) for number in "123")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def aliases(store: MemoryStore) -> Aliases:
    return Aliases(Rows(store, KEY))


def code(store: MemoryStore, patient: PatientKey, study: str) -> PatientPseudonym:
    """Ask as a fresh process would."""
    return IdentityVault(store, KEY).patient(patient.issuer, patient.patient_id, study)


def test_a_merge_moves_new_studies_only_and_unmerge_restores(store: MemoryStore, aliases: Aliases) -> None:
    warm = IdentityVault(store, KEY)
    ann, ben = code(store, ANN, "1"), code(store, BEN, "2")
    assert warm.patient(*_args(ANN, "1")) == ann
    aliases.merge(ANN, BEN, "kim")
    assert code(store, ANN, "3") == warm.patient(*_args(ANN, "3")) == ben
    assert code(store, ANN, "1") == ann  # sent again: the same bytes
    aliases.unmerge(ANN, "kim")
    assert code(store, ANN, "4") == warm.patient(*_args(ANN, "4")) == ann
    assert code(store, ANN, "3") == ben  # given out, and stays
    assert [(event.into, event.actor) for event in aliases.history(ANN)] == [(BEN, "kim"), (None, "kim")]


def _args(patient: PatientKey, study: str) -> tuple[str, str, str]:
    return patient.issuer, patient.patient_id, study


def test_a_patient_who_was_never_seen_can_be_merged(store: MemoryStore, aliases: Aliases) -> None:
    aliases.merge(ANN, BEN, "kim")
    assert code(store, ANN, "1") == code(store, BEN, "2")


def test_chains_are_followed_to_their_end(store: MemoryStore, aliases: Aliases) -> None:
    chain = [PatientKey("A", str(number)) for number in range(MAX_HOPS)]
    for one, other in pairwise(chain):
        aliases.merge(one, other, "kim")
    assert aliases.survivor(chain[0]) == chain[-1]
    assert code(store, chain[0], "1") == code(store, chain[-1], "2")
    with pytest.raises(MergeError, match="chain"):
        aliases.merge(PatientKey("A", "one more"), chain[0], "kim")


@pytest.mark.parametrize("into", [ANN, CAT])
def test_circles_are_refused(into: PatientKey, aliases: Aliases) -> None:
    aliases.merge(BEN, ANN, "kim")
    aliases.merge(CAT, BEN, "kim")
    with pytest.raises(MergeError, match="circle"):
        aliases.merge(ANN, into, "kim")
    assert aliases.history(ANN) == []


def test_a_second_merge_an_empty_id_and_a_second_unmerge_are_refused(aliases: Aliases) -> None:
    with pytest.raises(MergeError, match="empty"):
        aliases.merge(PatientKey("A", ""), BEN, "kim")
    with pytest.raises(MergeError, match="not merged"):
        aliases.unmerge(ANN, "kim")
    aliases.merge(ANN, BEN, "kim")
    with pytest.raises(MergeError, match="already"):
        aliases.merge(ANN, CAT, "kim")


class Meddling(MemoryStore):
    """A store that lets somebody in before its next write."""

    meddle: object = None

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        meddle, self.meddle = self.meddle, None
        if callable(meddle):
            meddle()
        return super().add_many(rows)


def test_of_two_merges_that_would_make_a_circle_together_one_is_taken_back() -> None:
    store = Meddling()
    aliases = Aliases(Rows(store, KEY))
    store.meddle = lambda: Aliases(Rows(store, KEY)).merge(BEN, ANN, "lou")
    with pytest.raises(MergeError, match="circle"):
        aliases.merge(ANN, BEN, "kim")
    assert aliases.survivor(BEN) == aliases.survivor(ANN) == ANN
    assert [event.into for event in aliases.history(ANN)] == [BEN, None]


def test_while_there_is_a_circle_nothing_is_given_out(store: MemoryStore, aliases: Aliases) -> None:
    aliases._append(ANN, BEN, "kim", 0)
    aliases._append(BEN, ANN, "lou", 0)
    with pytest.raises(TransientError):
        code(store, ANN, "1")


def test_of_two_merges_of_one_patient_the_second_is_told() -> None:
    store = Meddling()
    aliases = Aliases(Rows(store, KEY))
    store.meddle = lambda: Aliases(Rows(store, KEY)).merge(ANN, CAT, "lou")
    with pytest.raises(MergeError, match="same moment"):
        aliases.merge(ANN, BEN, "kim")
    assert aliases.survivor(ANN) == CAT


def test_a_study_of_a_patient_who_is_merged_meanwhile_belongs_to_whom_it_was_first_given() -> None:
    store = Meddling()
    mine = IdentityVault(store, KEY)
    theirs: list[PatientPseudonym] = []

    def meddle() -> None:
        Aliases(Rows(store, KEY)).merge(ANN, BEN, "lou")
        theirs.append(code(store, ANN, "1"))

    store.meddle = meddle
    assert mine.patient(*_args(ANN, "1")) == theirs[0] == code(store, BEN, "2")


PATIENTS = st.sampled_from([PatientKey("A", str(number)) for number in range(5)])


class Merges(RuleBasedStateMachine):
    """Any order of merges, their taking back and studies, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.aliases = Aliases(Rows(self.store, KEY))
        self.warm = IdentityVault(self.store, KEY)
        self.into: dict[PatientKey, PatientKey] = {}
        self.own: dict[PatientKey, PatientPseudonym] = {}
        self.given: dict[tuple[PatientKey, str], PatientPseudonym] = {}

    def end(self, patient: PatientKey) -> PatientKey:
        while patient in self.into:
            patient = self.into[patient]
        return patient

    @rule(patient=PATIENTS, into=PATIENTS)
    def merge(self, patient: PatientKey, into: PatientKey) -> None:
        if patient in self.into or self.end(into) == patient:
            with pytest.raises(MergeError):
                self.aliases.merge(patient, into, "kim")
        else:
            self.aliases.merge(patient, into, "kim")
            self.into[patient] = into

    @rule(patient=PATIENTS)
    def unmerge(self, patient: PatientKey) -> None:
        if self.into.pop(patient, None) is None:
            with pytest.raises(MergeError):
                self.aliases.unmerge(patient, "kim")
        else:
            self.aliases.unmerge(patient, "kim")

    @rule(patient=PATIENTS, study=st.sampled_from("abcdef"))
    def arrive(self, patient: PatientKey, study: str) -> None:
        found = self.warm.patient(*_args(patient, study))
        if (patient, study) in self.given:
            assert found == self.given[patient, study]
        else:
            assert found == self.own.setdefault(self.end(patient), found)
            self.given[patient, study] = found

    @invariant()
    def each_has_one_pseudonym(self) -> None:
        assert len({pseudonym.code for pseudonym in self.own.values()}) == len(self.own)

    def teardown(self) -> None:
        for (patient, study), pseudonym in self.given.items():
            assert code(self.store, patient, study) == pseudonym
        for patient in [PatientKey("A", str(number)) for number in range(5)]:
            assert self.aliases.survivor(patient) == self.end(patient)


TestMerges = Merges.TestCase
TestMerges.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_patient_leads_to_everybody_behind_them_and_to_nobody_else(aliases: Aliases) -> None:
    aliases.merge(ANN, BEN, "kim")
    aliases.merge(BEN, CAT, "kim")
    assert [aliases.leads(ANN, into) for into in (BEN, CAT, ANN)] == [True, True, False]
    assert [aliases.leads(CAT, into) for into in (ANN, BEN)] == [False, False]
    aliases.unmerge(BEN, "kim")
    assert [aliases.leads(ANN, into) for into in (BEN, CAT)] == [True, False]


def test_in_a_circle_nobody_leads_to_somebody_outside(store: MemoryStore, aliases: Aliases) -> None:
    rows = Rows(store, KEY)
    for patient, into in ((ANN, BEN), (BEN, ANN)):
        entry: Payload = {"into": [into.issuer, into.patient_id], "at": "", "actor": "kim"}
        rows.append(ALIAS, patient.original, entry, 0)
    assert not aliases.leads(ANN, CAT)
    assert aliases.leads(ANN, ANN)


class Trail:
    """An audit trail in a list."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, str | bool]] = []

    def record(self, event: Mapping[str, str | bool]) -> None:
        self.events.append(event)


def steward(store: MemoryStore, role: Role, trail: Trail) -> VaultSteward:
    return VaultSteward(Rows(store, KEY), Guard(Actor("hl7", role), trail))


def test_a_merge_is_made_once_and_each_try_is_written_down(store: MemoryStore) -> None:
    trail = Trail()
    feed = steward(store, Role.FEED, trail)
    assert [feed.merge_once(ANN, BEN) for _ in range(2)] == [True, False]
    for patient, into in ((ANN, CAT), (BEN, ANN)):
        with pytest.raises(MergeError):
            feed.merge_once(patient, into)
    assert [event["allowed"] for event in trail.events] == [True] * 4
    with pytest.raises(RefusedError):
        feed.unmerge(ANN)
    with pytest.raises(RefusedError):
        steward(store, Role.AUDITOR, trail).merge_once(ANN, BEN)
    assert [event["allowed"] for event in trail.events[4:]] == [False, False]


def test_a_merge_that_another_delivery_made_meanwhile_is_no_error(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = steward(store, Role.FEED, Trail())
    merge = Aliases.merge

    def overtaken(self: Aliases, patient: PatientKey, into: PatientKey, actor: str) -> None:
        merge(self, patient, into, actor)
        merge(self, patient, into, actor)

    monkeypatch.setattr(Aliases, "merge", overtaken)
    assert feed.merge_once(ANN, BEN) is False
