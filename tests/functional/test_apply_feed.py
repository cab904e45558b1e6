"""Messages of a hospital's feeds through the real handler: orders, reports, merges; twice, late and wrong."""

import io
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from firstread import handling
from firstread.arrival import Arrival
from firstread.deid.vault.aliases import Aliases, PatientKey
from firstread.environment import ReferenceSettings, VaultSettings
from firstread.messages import QuietTimer
from firstread.order import Order, Priority
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import LedgerRepository
from firstread.records.orders import OrderRepository
from firstread.refs import open_references
from firstread.storage import Bucket, feed_key
from firstread.vaults import open_rows
from functions.apply_feed import handler as apply_feed
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.events import CONTEXT
from tests.support.hl7 import MRN, merge, message, order, patient, report
from tests.support.hospital import Hospital
from tests.support.records import STUDY
from tests.support.wire import CrashError, dying_after_write

ORDERS, LEDGER = OrderRepository(), LedgerRepository()
SENT = "2004-08-26T18:54:34.000000Z"
SECRETS = (MRN, "OLD-31337", "Quimby", "Theodora", "19620503", "ACC4711", "FIL77", "PLC77")


class Feed:
    """Hands messages in, and wakes `apply_feed`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.references = open_references(ReferenceSettings())

    def put(self, data: bytes, source: str = "hl7", batch: str = "b1") -> tuple[str, str]:
        key = feed_key()
        arrival = Arrival(source=source, batch=batch)
        version = Bucket("incoming").put_once(
            key, data, "application/hl7-v2+er7", metadata=arrival.metadata()
        )
        return key, version

    def wake(self, identity: tuple[str, str | None]) -> int:
        """Deliver the event of an object; return how many records failed."""
        event = events.sqs(events.object_created("incoming", *identity))
        return len(apply_feed.handle(event, CONTEXT)["batchItemFailures"])

    def send(self, data: bytes, source: str = "hl7") -> Receipt:
        identity = self.put(data, source)
        assert self.wake(identity) == 0
        receipt = LEDGER.get(*identity)
        assert receipt is not None
        return receipt

    def order(self, number: str = "ACC4711") -> Order | None:
        return ORDERS.get(self.references.order(number))

    def link(self, number: str, study_uid: str) -> None:
        ORDERS.link(self.references.order(number), study_uid)

    def pokes(self) -> list[QuietTimer]:
        return [QuietTimer.model_validate_json(body) for body in self.cloud.waiting("quiet-timers")]

    def outcomes(self) -> Counter[str]:
        return Counter(row["outcome"]["S"] for row in self.cloud.rows("ledger_table"))

    def survivor(self, patient_id: str, issuer: str = "HOSP") -> str:
        rows = open_rows(VaultSettings.model_validate({}))
        return Aliases(rows).survivor(PatientKey(issuer, patient_id)).patient_id


@pytest.fixture
def feed(cloud: Cloud) -> Iterator[Feed]:
    apply_feed.bootstrap.cache_clear()
    yield Feed(cloud)
    apply_feed.bootstrap.cache_clear()


def test_an_order_is_known_under_each_of_its_numbers(feed: Feed) -> None:
    receipt = feed.send(message("ORM^O01", patient(), "PV1|1|E|ED^12^3^MAIN", *order()))
    assert (receipt.outcome, receipt.reason, receipt.source) == (Outcome.STORED, "", "hl7")
    assert receipt.sha256 and receipt.settled_at and receipt.size
    expected = Order(
        priority=Priority.STAT, patient_class="E", location="ED^MAIN", status="SC", updated_at=SENT
    )
    assert [feed.order(number) for number in ("ACC4711", "FIL77", "PLC77")] == [expected] * 3
    assert feed.order("ACC1") is None


def test_a_study_of_the_order_is_looked_at_again(feed: Feed) -> None:
    feed.link("ACC4711", STUDY)
    feed.link("FIL77", "2.25.2")
    feed.send(message("ORM^O01", *order()))
    expected = [QuietTimer(study_uid=uid, last_arrival="", correlation_id="b1") for uid in (STUDY, "2.25.2")]
    assert sorted(feed.pokes(), key=repr) == sorted(expected, key=repr)


CHAIN = (
    message("ORM^O01", *order(priority="R", status="SC"), control="1"),
    message("ORM^O01", *order(control="XO", priority="S", status=""), control="2", sent="20040826190000"),
    report(control="3", sent="20040826200000"),
)


@pytest.mark.parametrize("told", list(itertools.permutations(CHAIN)))
def test_any_order_of_arrival_leaves_the_same(feed: Feed, told: tuple[bytes, ...]) -> None:
    for data in told:
        assert feed.send(data).outcome is Outcome.STORED
    found = feed.order()
    assert found is not None
    assert (found.priority, found.status) == (Priority.STAT, "SC")
    assert found.read_elsewhere_at == found.updated_at == "2004-08-26T20:00:00.000000Z"


def test_a_report_that_is_taken_back_is_no_report(feed: Feed) -> None:
    feed.send(report("F", sent="20040826200000"))
    feed.send(report("P", sent="20040826210000", control="2"))
    found = feed.order()
    assert found is not None
    assert found.read_elsewhere_at == ""


def test_a_report_does_not_count_for_a_number_of_the_placer(feed: Feed) -> None:
    feed.send(report())
    assert feed.order("PLC77") is None
    assert feed.order("FIL77") is not None
    feed.send(message("ORU^R01", "ORC|SC|PLC6|||CM", control="3"))
    found = feed.order("PLC6")
    assert found is not None
    assert found.read_elsewhere_at == SENT


@pytest.mark.parametrize("data", [CHAIN[0], report(), merge()], ids=["order", "report", "merge"])
def test_the_same_message_again_is_a_duplicate(feed: Feed, data: bytes) -> None:
    assert feed.send(data).outcome is Outcome.STORED
    assert feed.send(data).outcome is Outcome.DUPLICATE
    assert feed.send(data, source="other").outcome is Outcome.DUPLICATE
    again = data.replace(b"FIRSTREAD", b"FIRST READ")  # other bytes, the same control ID
    assert feed.send(again).outcome is Outcome.DUPLICATE
    assert feed.outcomes() == {"stored": 1, "duplicate": 3}


def test_a_control_id_that_is_used_again_for_something_new_is_applied(feed: Feed) -> None:
    feed.send(CHAIN[0])
    reused = message("ORM^O01", *order(accession="ACC2", number="2"), control="1")
    assert feed.send(reused).outcome is Outcome.STORED
    assert feed.order("ACC2") is not None


def test_the_same_event_again_changes_nothing(feed: Feed) -> None:
    identity = feed.put(CHAIN[0])
    feed.wake(identity)
    before = LEDGER.get(*identity)
    feed.wake(identity)
    feed.wake((identity[0], None))
    assert LEDGER.get(*identity) == before
    assert feed.outcomes() == {"stored": 1}


def test_an_object_that_is_gone_stops_nobody(feed: Feed) -> None:
    assert feed.wake(("feed/gone", "v1")) == 0
    assert feed.outcomes() == {}


def test_a_merge(feed: Feed) -> None:
    assert feed.send(merge()).outcome is Outcome.STORED
    assert feed.survivor("OLD-31337") == MRN
    (event,) = [json.loads(row["body"]["S"]) for row in feed.cloud.rows("audit_table")]
    assert (event["actor"], event["role"], event["action"]) == ("apply_feed", "feed", "identity.merge")
    assert event["allowed"] is True


def test_merges_that_follow_one_another(feed: Feed) -> None:
    for number, (old, into) in enumerate([("A", "B"), ("B", "C"), ("A", "C"), ("A", "B")]):
        receipt = feed.send(merge(old=f"{old}^^^HOSP", into=f"{into}^^^HOSP", control=f"M{number}"))
        assert receipt.outcome is Outcome.STORED  # nothing new, but nobody has said it before
    assert feed.survivor("A") == "C"


@pytest.mark.parametrize(("old", "into"), [("B", "A"), ("A", "C")])
def test_a_merge_that_contradicts_an_earlier_one_is_kept(feed: Feed, old: str, into: str) -> None:
    feed.send(merge(old="A^^^HOSP", into="B^^^HOSP"))
    receipt = feed.send(merge(old=f"{old}^^^HOSP", into=f"{into}^^^HOSP", control="M2"))
    assert (receipt.outcome, receipt.reason) == (Outcome.QUARANTINED, "feed_contradicts")
    assert feed.survivor("A") == "B"


@pytest.mark.parametrize(
    ("issuers", "issuer"), [("{}", "HOSP"), ('{"HOSP": "HOSPITAL"}', "HOSPITAL"), ('{"*": ""}', "")]
)
def test_an_authority_is_the_issuer_that_the_site_says(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, issuers: str, issuer: str
) -> None:
    monkeypatch.setenv("FIRSTREAD_FEED_ISSUERS", issuers)
    apply_feed.bootstrap.cache_clear()
    feed.send(merge())
    assert feed.survivor("OLD-31337", issuer) == MRN
    assert feed.survivor("OLD-31337", "nobody") == "OLD-31337"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Quimby, Theodora", "feed_not_understood"),
        (message("ADT^A08", patient()), "feed_not_supported"),
        (b"", "empty"),
    ],
)
def test_what_cannot_be_applied_is_kept_with_its_reason(feed: Feed, data: bytes, reason: str) -> None:
    receipt = feed.send(data)
    assert (receipt.outcome, receipt.reason) == (Outcome.QUARANTINED, reason)
    assert feed.cloud.rows("orders_table") == []


@pytest.mark.parametrize("data", [CHAIN[0], merge()], ids=["order", "merge"])
def test_a_process_may_die_behind_any_write(feed: Feed, data: bytes) -> None:
    feed.link("ACC4711", STUDY)
    identity = feed.put(data)
    for number in itertools.count(1):
        try:
            with dying_after_write(feed.cloud.wire, number):
                feed.wake(identity)
        except CrashError:
            apply_feed.bootstrap.cache_clear()
            continue
        break
    assert number > 3
    assert feed.outcomes() == {"stored": 1}
    if data is CHAIN[0]:
        assert feed.order() is not None
        assert feed.pokes()
    else:
        assert feed.survivor("OLD-31337") == MRN


def test_nothing_of_a_message_is_anywhere_but_in_incoming_and_the_vault(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    for logger in (logging.getLogger(), handling.logger._logger):
        logger.addHandler(handler)
        monkeypatch.setattr(logger, "level", logging.DEBUG)
    feed.link("ACC4711", STUDY)
    whole = (*CHAIN, merge(), merge(old=f"{MRN}^^^HOSP", into="OLD-31337^^^HOSP", control="M2"))
    for data in (
        *whole,
        *(each[:-30] for each in whole),
        *(each.replace(b"|1|", b"|\\X0D\\|") for each in whole),
    ):
        feed.send(data)
    logging.getLogger().removeHandler(handler)
    handling.logger._logger.removeHandler(handler)
    captured = capfd.readouterr()
    places = {"log": target.getvalue() + captured.out + captured.err}
    for table in feed.cloud.dynamodb.list_tables()["TableNames"]:
        places[table] = repr(feed.cloud.rows(table))
    for operation in ("SendMessage", "PutItem", "UpdateItem", "TransactWriteItems"):
        places[operation] = repr(feed.cloud.wire.sent(operation))
    assert "feed message settled" in places["log"]
    assert len(feed.pokes()) > 3
    found = {(place, each) for place, text in places.items() for each in SECRETS if each in text}
    assert found == set()


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


NAMED = header(AccessionNumber="ACC4711", PatientID=MRN, IssuerOfPatientID="HOSP")


@pytest.mark.parametrize("first", ["order", "image"])
def test_an_order_says_how_soon_its_study_is_read_whichever_comes_first(
    hospital: Hospital, first: str
) -> None:
    steps = {
        "image": lambda: hospital.put(encode(NAMED)),
        "order": lambda: hospital.say(message("ORM^O01", "PV1|1|E|ED^^^MAIN", *order())),
    }
    steps.pop(first)()
    hospital.pump()
    steps.popitem()[1]()
    hospital.pump()
    (study,) = hospital.studies.worklist()
    assert (study.priority, study.patient_class, study.location) == (Priority.STAT, "E", "ED^MAIN")
    assert study.read_elsewhere_at == ""
    assert study.version == 1
    hospital.say(report(control="2"))
    hospital.pump()
    assert hospital.studies.worklist() == []  # somebody has read it
    found = hospital.studies.get(study.study_uid)
    assert found is not None
    assert found.read_elsewhere_at == SENT
    assert hospital.failures == []


@pytest.mark.parametrize("seed", range(3))
def test_feeds_and_images_in_any_order_and_number(hospital: Hospital, seed: int) -> None:
    hospital.put(encode(NAMED))
    for data in (*CHAIN, merge()):
        hospital.say(data)
    hospital.pump(seed, times=3)
    (row,) = {row["study_uid"]["S"] for row in hospital.cloud.rows("studies_table")}
    study = hospital.studies.get(row)
    assert study is not None
    assert (study.priority, study.version) == (Priority.STAT, 1)
    assert study.read_elsewhere_at == "2004-08-26T20:00:00.000000Z"
    assert hospital.failures == []


def test_studies_of_a_merged_patient_go_under_the_one_who_stays(hospital: Hospital) -> None:
    hospital.put(encode(NAMED))
    hospital.say(merge())
    hospital.pump()
    other = {"StudyInstanceUID": "1.2.3.99", "SOPInstanceUID": "1.2.3.99.1", "PatientID": "OLD-31337"}
    hospital.put(encode(header(IssuerOfPatientID="HOSP", **other)))
    hospital.pump()
    one, two = hospital.studies.worklist()
    assert one.gathering.patient == two.gathering.patient
