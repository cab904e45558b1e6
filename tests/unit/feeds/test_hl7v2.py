"""HL7 v2: what is understood, what is not, and that nothing else can happen."""

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.errors import Reason
from firstread.feeds import (
    FeedError,
    OrderFacts,
    OrderMessage,
    OrderNumbers,
    PatientIdentifier,
    PatientMerge,
    ReportFacts,
    ReportMessage,
    parse,
)
from firstread.feeds.er7 import MAX_BYTES, MAX_SEGMENTS, MAX_VALUE, segments
from firstread.order import Priority
from tests.support.hl7 import MRN, merge, message, order, patient, report

PV1 = "PV1|1|E|ED^12^3^MAIN|||||Ferencz^Attila"
NUMBERS = OrderNumbers(accession="ACC4711", filler="FIL77", placer="PLC77")


def refused(data: bytes) -> Reason:
    with pytest.raises(FeedError) as error:
        parse(data)
    return error.value.reason


def merges(data: bytes) -> list[tuple[str, str, str, str]]:
    found = parse(data)
    assert isinstance(found, PatientMerge)
    return [(a.patient_id, a.authority, b.patient_id, b.authority) for a, b in found.merges]


def one_order(*body: str, kind: str = "ORM^O01") -> OrderFacts:
    found = parse(message(kind, *body))
    assert isinstance(found, OrderMessage)
    (facts,) = found.orders
    return facts


def one_report(data: bytes) -> ReportFacts:
    found = parse(data)
    assert isinstance(found, ReportMessage)
    (facts,) = found.reports
    return facts


def test_a_merge() -> None:
    found = parse(merge(control="M1"))
    assert found == PatientMerge(
        control_id="M1",
        sent_at="2004-08-26T18:54:34.000000Z",
        merges=(
            (
                PatientIdentifier(patient_id="OLD-31337", authority="HOSP"),
                PatientIdentifier(patient_id=MRN, authority="HOSP"),
            ),
        ),
    )
    assert not any(secret in repr(found) for secret in (MRN, "OLD-31337", "HOSP", "M1"))


@pytest.mark.parametrize(
    ("old", "into", "expected"),
    [
        ("1", "2", [("1", "", "2", "")]),
        ("1^^^A~1^^^B", "2^^^B~3^^^A", [("1", "A", "3", "A"), ("1", "B", "2", "B")]),
        ("1^^^A^MR", "9^^^A^SS~2^^^A^MR", [("1", "A", "2", "A")]),
        ("1^^^A", "2^^^C~3^^^D", [("1", "A", "2", "C")]),
        ("1^^^&1.2.3&ISO", "2^^^NS&1.2.3&ISO", [("1", "1.2.3", "2", "NS")]),
        ("1^^^A~2^^^A", "2^^^A", [("1", "A", "2", "A")]),  # nobody is merged into themselves
        ("1~1", "2", [("1", "", "2", "")]),
    ],
)
def test_each_identifier_goes_into_the_nearest(
    old: str, into: str, expected: list[tuple[str, str, str, str]]
) -> None:
    assert merges(merge(old=old, into=into)) == expected


def test_several_pairs() -> None:
    body = (patient("2"), "MRG|1", patient("4"), "PV1|1|I", "MRG|3")
    assert merges(message("ADT^A40", *body)) == [("1", "", "2", ""), ("3", "", "4", "")]


@pytest.mark.parametrize(
    "body",
    [
        (patient(),),
        ("MRG|1",),
        (patient(), patient(), "MRG|1", "MRG|2"),
        (patient(), "MRG|"),
        (patient(""), "MRG|1"),
        (patient('""'), "MRG|1"),
        (patient("1"), "MRG|1"),
    ],
)
def test_a_merge_that_names_no_pair(body: tuple[str, ...]) -> None:
    assert refused(message("ADT^A40", *body)) is Reason.FEED_NOT_UNDERSTOOD


@pytest.mark.parametrize("kind", ["ORM^O01", "OMI^O23^OMI_O23"])
def test_an_order(kind: str) -> None:
    assert one_order(patient(), PV1, *order(), kind=kind) == OrderFacts(
        numbers=NUMBERS, priority=Priority.STAT, patient_class="E", location="ED^MAIN", status="SC"
    )
    assert "4711" not in repr(NUMBERS)


def test_what_an_order_does_not_say_is_not_said() -> None:
    facts = one_order("ORC|XO|PLC77")
    assert facts == OrderFacts(numbers=OrderNumbers(placer="PLC77"))
    assert facts.numbers.all == ("PLC77",)


def test_null_is_said_to_be_nothing() -> None:
    facts = one_order('PV1|1|""|""', *order())
    assert (facts.patient_class, facts.location) == ("", "")


@pytest.mark.parametrize(
    ("body", "priority"),
    [
        (("ORC|NW|1", "TQ1|1||||||||S^stat", "OBR|1"), Priority.STAT),
        (("ORC|NW|1", "TQ1|1||||||||R", "TQ1|2||||||||A"), Priority.URGENT),
        (("ORC|NW|1||||||||", "OBR|1" + "|" * 26 + "^^^^^S"), Priority.STAT),
        (("ORC|NW|1|||||^^^^^R", "OBR|1" + "|" * 26 + "^^^^^A"), Priority.URGENT),
        (("ORC|NW|1|||||^^^^^TM10",), Priority.URGENT),
        (("ORC|NW|1|||||^^^^^t",), Priority.URGENT),
        (("ORC|NW|1|||||^^^^^PRN",), Priority.ROUTINE),
        (("ORC|NW|1|||||^^^^^TX",), None),
        (("ORC|NW|1", "OBR|1||||STAT"), Priority.STAT),
        (("ORC|NW|1|||||^^^^^7",), None),
    ],
)
def test_priority(body: tuple[str, ...], priority: Priority | None) -> None:
    assert one_order(*body).priority is priority


@pytest.mark.parametrize(
    ("orc", "status"),
    [
        ("CA|1", "CA"),
        ("DC|1", "DC"),
        ("SC|1|||CM", "CM"),
        ("CA|1|||IP", "IP"),
        ("NW|1", None),
        ("SC|1|||a name", None),
    ],
)
def test_status(orc: str, status: str | None) -> None:
    assert one_order(f"ORC|{orc}").status == status


def test_text_in_the_place_of_a_code_is_not_taken() -> None:
    facts = one_order("PV1|1|Theodora Quimby|Theodora Quimby^^^MAIN", *order())
    assert (facts.patient_class, facts.location) == (None, "^MAIN")
    assert one_order("PV1|1||Theodora Quimby", *order()).location is None


def test_the_accession_number_is_that_of_ipc_before_that_of_obr() -> None:
    orc, obr = order()
    assert one_order(orc, obr, "IPC|ACC9^RIS|RP1|1.2.3|SPS1").numbers.accession == "ACC9"
    assert one_order(*order(accession="far too long for one")).numbers.accession == ""
    assert one_order(*order(accession="of words")).numbers.accession == ""


def test_several_orders() -> None:
    found = parse(message("ORM^O01", *order(number="1"), *order(number="2", priority="R")))
    assert isinstance(found, OrderMessage)
    assert [(each.numbers.filler, each.priority) for each in found.orders] == [
        ("FIL1", Priority.STAT),
        ("FIL2", Priority.ROUTINE),
    ]


@pytest.mark.parametrize("body", [(), (patient(),), ("ORC|NW",), ("ORC|NW|1", "ORC|NW"), ("OBR|1|1",)])
def test_an_order_that_names_none(body: tuple[str, ...]) -> None:
    assert refused(message("ORM^O01", *body)) is Reason.FEED_NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("status", "final"), [("F", True), ("C", True), ("P", False), ("R", False), ("X", False), ("A", False)]
)
def test_a_report(status: str, final: bool) -> None:
    assert one_report(report(status)) == ReportFacts(numbers=NUMBERS, final=final)


def test_the_status_of_an_order_tells_where_the_report_does_not() -> None:
    assert one_report(message("ORU^R01", "ORC|SC|1|||CM", "OBR|1|1|2")).final
    assert not one_report(message("ORU^R01", "ORC|SC|1|||IP", "OBR|1|1|2")).final
    assert refused(message("ORU^R01", "OBR|1|1|2")) is Reason.FEED_NOT_UNDERSTOOD


def test_a_laboratory_has_numbers_of_its_own() -> None:
    laboratory = "OBR|2|5|6" + "|" * 21 + "LAB|F"
    assert refused(message("ORU^R01", laboratory)) is Reason.FEED_NOT_SUPPORTED
    both = message("ORU^R01", laboratory, "OBR|1|1|2" + "|" * 21 + "CT|F")
    assert one_report(both).numbers == OrderNumbers(filler="2", placer="1")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("", ""),
        ("20040826", "2004-08-26T00:00:00.000000Z"),
        ("200408261854", "2004-08-26T18:54:00.000000Z"),
        ("20040826185434.1234", "2004-08-26T18:54:34.123400Z"),
        ("20040826185434+0200", "2004-08-26T16:54:34.000000Z"),
        ("20040826185434.5-0330", "2004-08-26T22:24:34.500000Z"),
    ],
)
def test_the_time_of_a_message(sent: str, expected: str) -> None:
    assert parse(report(sent=sent)).sent_at == expected


@pytest.mark.parametrize(
    "sent", ["yesterday", "20041332", "2004", "20040826185434+9999", "00010101+0100", "²0040826"]
)
def test_a_time_that_is_none(sent: str) -> None:
    assert refused(report(sent=sent)) is Reason.FEED_NOT_UNDERSTOOD


def charset(name: str) -> str:
    return "||||||" + name


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15~UNICODE UTF-8", "iso8859_15"),
        ("8859/5", "iso8859_5"),
        ("GB 18030-2000", "gb18030"),
        ("BIG-5", "big5"),
        ("ISO IR87", "iso2022_jp_2"),
    ],
)
def test_character_sets(name: str, codec: str) -> None:
    wanted = {"iso8859_5": "Щ1", "gb18030": "偀丂1", "big5": "功1", "iso2022_jp_2": "山1"}.get(codec, "Ä1")
    data = merge(old=wanted, more=charset(name)).decode().encode(codec)
    assert merges(data)[0][0] == wanted


def test_what_its_character_set_does_not_have_counts_where_it_is_used() -> None:
    elsewhere = merge(more=charset("ASCII")).replace(b"Theodora", "Théodora".encode("latin-1"))
    assert merges(elsewhere) == [("OLD-31337", "HOSP", MRN, "HOSP")]
    here = merge(more=charset("ASCII")).replace(b"OLD-31337", "Ä1".encode("latin-1"))
    assert refused(here) is Reason.FEED_NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r"A\S\B", "A^B"),
        (r"A\F\B\R\C\T\D\E\E", "A|B~C&D\\E"),
        (r"A\X42\C", "ABC"),
        (r"\XC384\1", "Ä1"),
        (r"A\H\B\N\C", "ABC"),
        (r"A\.br\B", "A B"),
        (r"A\B", r"A\B"),
        (r"A\Zown\B", r"A\Zown\B"),
        (" A ", "A"),
    ],
)
def test_escapes(raw: str, value: str) -> None:
    assert merges(merge(old=raw))[0][0] == value


@pytest.mark.parametrize(
    "raw", [r"A\X0D\B", "A\tB", "A" * (MAX_VALUE + 1), r"\XFF\1", "A" + r"\H\ "[:3] * 2000]
)
def test_a_value_that_cannot_be_an_identifier(raw: str) -> None:
    assert refused(merge(old=raw)) is Reason.FEED_NOT_UNDERSTOOD


def test_other_delimiters() -> None:
    data = merge().translate(bytes.maketrans(b"|^~\\&", b"!#%$@"))
    assert merges(data) == [("OLD-31337", "HOSP", MRN, "HOSP")]
    assert merges(merge(old="1~3^^^A").replace(b"^~\\&", b"^~", 1))[0][0] == "1"


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("frame", [(b"", b""), (b"\x0b", b"\x1c\r"), (b"\xef\xbb\xbf", b"")])
def test_framing(ending: bytes, frame: tuple[bytes, bytes]) -> None:
    data = frame[0] + merge().replace(b"\r", ending) + frame[1]
    assert merges(data) == [("OLD-31337", "HOSP", MRN, "HOSP")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"\x0b\x1c\r", Reason.EMPTY),
        (b"M" * (MAX_BYTES + 1), Reason.TOO_LARGE),
        (b"MSH", Reason.FEED_NOT_UNDERSTOOD),
        (b"MSH|^~\\&", Reason.FEED_NOT_UNDERSTOOD),
        (b"PID|1||2", Reason.FEED_NOT_UNDERSTOOD),
        (merge().replace(b"^~\\&", b"^^^^", 1), Reason.FEED_NOT_UNDERSTOOD),
        (merge().replace(b"^~\\&", b"abcd", 1), Reason.FEED_NOT_UNDERSTOOD),
        (merge().replace(b"^~\\&", b"", 1), Reason.FEED_NOT_UNDERSTOOD),
        (merge() + b"MSHX|", Reason.FEED_NOT_UNDERSTOOD),
        (merge() + b"\r" * MAX_SEGMENTS + b"NTE|", Reason.FEED_NOT_UNDERSTOOD),
        (merge() + merge(), Reason.FEED_NOT_SUPPORTED),
        (b"FHS|^~\\&|\r" + merge(), Reason.FEED_NOT_SUPPORTED),
        (message("ADT^A08", patient()), Reason.FEED_NOT_SUPPORTED),
        (message("ACK"), Reason.FEED_NOT_SUPPORTED),
        (merge(more=charset("UNICODE UTF-16")), Reason.FEED_NOT_SUPPORTED),
    ],
)
def test_what_is_refused(data: bytes, reason: Reason) -> None:
    assert refused(data) is reason


def only_typed_errors(data: bytes) -> None:
    try:
        parse(data)
    except FeedError as error:
        assert str(error) == error.reason.value
        assert error.__cause__ is None


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    only_typed_errors(data)
    only_typed_errors(b"MSH|^~\\&|" + data)


_PIECES = st.sampled_from(
    [
        *"|^~\\&\r\n",
        '""',
        "MSH",
        "PID",
        "MRG",
        "ORC",
        "OBR",
        "TQ1",
        "PV1",
        "IPC",
        "S",
        "F",
        "\\X4",
        "Ä",
        "\0",
        "||||||",
    ]
)


@given(
    st.sampled_from(["ADT^A40", "ORM^O01", "OMI^O23", "ORU^R01"]),
    st.lists(_PIECES | st.text(max_size=8), max_size=60).map("".join),
    st.sampled_from(["", "8859/1", "BIG-5", "ISO IR87", "GB 18030-2000"]),
    st.text(max_size=20),
)
def test_any_message(kind: str, body: str, name: str, sent: str) -> None:
    only_typed_errors(message(kind, body, sent=sent, more=charset(name)))


@given(st.binary(min_size=1, max_size=6), st.integers(0, 600))
def test_any_damage(damage: bytes, at: int) -> None:
    whole = message("ORM^O01", patient(), PV1, *order())
    only_typed_errors(whole[:at] + damage + whole[at + len(damage) :])


_TEXT = st.text(st.characters(codec="latin-1", categories=["Lu", "Ll", "Nd"]), max_size=6)
_FIELD = st.lists(st.lists(_TEXT, min_size=1, max_size=4).map("^".join), min_size=1, max_size=3).map("~".join)


@given(st.lists(_FIELD, min_size=3, max_size=8))
def test_fields_are_found_where_another_library_finds_them(fields: list[str]) -> None:
    data = message("ADT^A40", "|".join(["PID", *fields, "end"]))
    ours = segments(data, {"PID"})[1]
    theirs = hl7.parse(data.decode()).segment("PID")
    for number, raw in enumerate(fields, start=1):
        assert [each for each in str(theirs[number]).split("~") if each] == ours.repetitions(number)
        expected = theirs.extract_field(field_num=number, component_num=2) if "^" in raw.split("~")[0] else ""
        if raw.split("~")[0]:
            assert (ours.said(number, 2) or "") == expected
