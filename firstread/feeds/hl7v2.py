"""HL7 v2 messages -> typed facts: merges of patients, orders, reports. What a message does not say is None.

Sources: HL7 v2.5.1 chapters 3 (ADT), 4 (orders) and 7 (ORU); IHE RAD TF-2, RAD-4 and RAD-12. Identifiers never show in
a `repr`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import NoReturn

from pydantic import Field

from firstread.clock import to_text
from firstread.errors import Reason
from firstread.feeds.er7 import Segment, segments
from firstread.feeds.errors import FeedError
from firstread.order import Priority
from firstread.value import Value

_WANTED = frozenset({"PID", "MRG", "PV1", "ORC", "OBR", "TQ1", "IPC"})
_ACCESSION = re.compile(r"[^\\\s]{1,16}")  # VR SH, PS3.5 6.2
_CODE = re.compile(
    r"[A-Za-z0-9._/-]{1,20}"
)  # an IS value; anything longer or with spaces is text, and may be a name
_FINAL = frozenset({"F", "C"})
# HL7 table 0485; a request for a moment (TS10 ... TL3) is urgent, before an operation as well.
_PRIORITIES = {
    "S": Priority.STAT,
    "STAT": Priority.STAT,
    "A": Priority.URGENT,
    "ASAP": Priority.URGENT,
    "P": Priority.URGENT,
    "T": Priority.URGENT,
    "R": Priority.ROUTINE,
    "C": Priority.ROUTINE,
    "PRN": Priority.ROUTINE,
}
_TIMING = re.compile(r"T[SMHDWL]?\d*")
_CONTROLS = {"CA": "CA", "OC": "CA", "CR": "CA", "DC": "DC", "OD": "DC", "DR": "DC", "HD": "HD", "HR": "HD"}
# HL7 table 0074: sections that make no images. Their numbers are not those of studies, though they may be equal.
_NOT_IMAGING = frozenset(
    "AU BG BLB CG CH CP EC EN GE HM ICU IMM LAB MB MCB MYC NRS OSL OT PAR PAT PF PHR PT RC SP SR TX URN VR".split()
)


class PatientIdentifier(Value):
    """A patient as a feed names them (CX): ID and assigning authority."""

    patient_id: str = Field(repr=False)
    authority: str = Field("", repr=False)


class OrderNumbers(Value):
    """The numbers of an order; "" where the message names none.

    Parameters
    ----------
    accession
        IPC-1, or OBR-18 as IHE uses it.
    filler, placer
        ORC-3 or OBR-3, ORC-2 or OBR-2, without their namespace, which DICOM objects seldom carry.
    """

    accession: str = Field("", repr=False)
    filler: str = Field("", repr=False)
    placer: str = Field("", repr=False)

    @property
    def all(self) -> tuple[str, ...]:
        """Each different number once."""
        return tuple(dict.fromkeys(each for each in (self.accession, self.filler, self.placer) if each))


class FeedMessage(Value):
    """Base of the messages.

    Parameters
    ----------
    control_id
        MSH-10; "" where missing.
    sent_at
        MSH-7 as `firstread.clock` text; "" where missing. Without an offset it is taken for UTC.
    """

    control_id: str = Field(repr=False)
    sent_at: str


class PatientMerge(FeedMessage):
    """ADT^A40: pairs of the patient who was merged and the one who stays."""

    merges: tuple[tuple[PatientIdentifier, PatientIdentifier], ...]


class OrderFacts(Value):
    """What an order message says of one order; the fields are those of `firstread.order.Order`."""

    numbers: OrderNumbers
    priority: Priority | None = None
    patient_class: str | None = None
    location: str | None = None
    status: str | None = None


class OrderMessage(FeedMessage):
    """ORM^O01 or OMI^O23."""

    orders: tuple[OrderFacts, ...]


class ReportFacts(Value):
    """Whether an order has a final report (OBR-25 F or C; ORC-5 CM)."""

    numbers: OrderNumbers
    final: bool


class ReportMessage(FeedMessage):
    """ORU^R01."""

    reports: tuple[ReportFacts, ...]


def parse(data: bytes) -> PatientMerge | OrderMessage | ReportMessage:
    """Read one message.

    Raises
    ------
    FeedError
        As `firstread.feeds.er7.segments`; ``feed_not_supported`` also for a message of another kind, and
        ``feed_not_understood`` for one that lacks what its kind needs.
    """
    header, *body = segments(data, _WANTED)
    if header.name != "MSH":
        _not_understood()
    kind = f"{header.said(9, 1)}^{header.said(9, 2)}"
    if kind not in _READERS:
        raise FeedError(Reason.FEED_NOT_SUPPORTED)
    return _READERS[kind](header.said(10) or "", _moment(header.said(7)), body)


def _merge(control_id: str, sent_at: str, body: Sequence[Segment]) -> PatientMerge:
    named = [segment for segment in body if segment.name in ("PID", "MRG")]
    if [segment.name for segment in named] != ["PID", "MRG"] * (len(named) // 2):
        _not_understood()
    found: list[tuple[PatientIdentifier, PatientIdentifier]] = []
    for pid, mrg in zip(named[::2], named[1::2], strict=True):
        found += _pairs(_identifiers(mrg, 1), _identifiers(pid, 3))
    if not found:
        _not_understood()
    return PatientMerge(control_id=control_id, sent_at=sent_at, merges=tuple(dict.fromkeys(found)))


def _identifiers(segment: Segment, number: int) -> list[tuple[PatientIdentifier, str]]:
    """Return the identifiers of a field, each with its type (CX.5)."""
    found = []
    for raw in segment.repetitions(number):
        patient_id = segment.component(raw, 1)
        if patient_id:
            # HD: a namespace, or where that is missing the universal ID.
            authority = segment.component(raw, 4) or segment.component(raw, 4, 2) or ""
            identifier = PatientIdentifier(patient_id=patient_id, authority=authority)
            found.append((identifier, segment.component(raw, 5) or ""))
    return found


def _pairs(
    merged: Sequence[tuple[PatientIdentifier, str]], staying: Sequence[tuple[PatientIdentifier, str]]
) -> list[tuple[PatientIdentifier, PatientIdentifier]]:
    """Return into which identifier each goes: of its own authority, and of its own type, where there is one."""
    if not staying:
        return []

    def nearest(patient: PatientIdentifier, kind: str) -> PatientIdentifier:
        into, _ = max(staying, key=lambda each: (each[0].authority == patient.authority, each[1] == kind))
        return into

    pairs = ((patient, nearest(patient, kind)) for patient, kind in merged)
    return [(patient, into) for patient, into in pairs if patient != into]


@dataclass
class _Group:
    """The segments of one order."""

    orc: Segment | None = None
    obr: Segment | None = None
    tq1: list[Segment] = field(default_factory=list)
    ipc: Segment | None = None

    def said(self, name: str, number: int, component: int = 1) -> str | None:
        segment = {"ORC": self.orc, "OBR": self.obr, "IPC": self.ipc}[name]
        return segment.said(number, component) if segment is not None else None

    @property
    def numbers(self) -> OrderNumbers:
        accession = self.said("IPC", 1) or self.said("OBR", 18) or ""
        return OrderNumbers(
            accession=accession if _ACCESSION.fullmatch(accession) else "",
            filler=self.said("ORC", 3) or self.said("OBR", 3) or "",
            placer=self.said("ORC", 2) or self.said("OBR", 2) or "",
        )


def _groups(body: Sequence[Segment]) -> list[_Group]:
    """Return the orders of a message that may have images, each with at least one number."""
    found: list[_Group] = []
    for segment in body:
        if segment.name == "ORC":
            found.append(_Group(orc=segment))
        elif segment.name == "OBR":
            if not found or found[-1].obr is not None:
                found.append(_Group())
            found[-1].obr = segment
        elif segment.name == "TQ1" and found:
            found[-1].tq1.append(segment)
        elif segment.name == "IPC" and found and found[-1].ipc is None:
            found[-1].ipc = segment
    if not found or not all(group.numbers.all for group in found):
        _not_understood()
    imaging = [group for group in found if group.said("OBR", 24) not in _NOT_IMAGING]
    if not imaging:
        raise FeedError(Reason.FEED_NOT_SUPPORTED)
    return imaging


def _orders(control_id: str, sent_at: str, body: Sequence[Segment]) -> OrderMessage:
    visit = next((segment for segment in body if segment.name == "PV1"), None)
    groups = _groups(body)
    if any(group.orc is None for group in groups):
        _not_understood()
    orders = tuple(
        OrderFacts(
            numbers=group.numbers,
            priority=_priority(group),
            patient_class=_code(visit.said(2)) if visit is not None else None,
            location=_location(visit) if visit is not None else None,
            status=_code(group.said("ORC", 5)) or _CONTROLS.get(group.said("ORC", 1) or ""),
        )
        for group in groups
    )
    return OrderMessage(control_id=control_id, sent_at=sent_at, orders=orders)


def _priority(group: _Group) -> Priority | None:
    """Return the most urgent priority of TQ1-9, OBR-27.6, ORC-7.6 and, before version 2.3, OBR-5."""
    said = [
        *(timing.said(9) for timing in group.tq1),
        group.said("OBR", 27, 6),
        group.said("ORC", 7, 6),
        group.said("OBR", 5),
    ]
    known = (_priority_of((each or "").upper()) for each in said)
    return min((each for each in known if each), key=lambda each: each.order, default=None)


def _priority_of(code: str) -> Priority | None:
    return _PRIORITIES.get(code) or (Priority.URGENT if _TIMING.fullmatch(code) else None)


def _location(visit: Segment) -> str | None:
    place, facility = _code(visit.said(3, 1)), _code(visit.said(3, 4))
    if place is None and facility is None:
        return None
    return "^".join(each or "" for each in (place, facility)).rstrip("^")


def _code(value: str | None) -> str | None:
    return value if value == "" or (value and _CODE.fullmatch(value)) else None


def _reports(control_id: str, sent_at: str, body: Sequence[Segment]) -> ReportMessage:
    reports = tuple(
        ReportFacts(numbers=group.numbers, final=result in _FINAL if result else order == "CM")
        for group in _groups(body)
        for result, order in [(group.said("OBR", 25), group.said("ORC", 5))]
        if result or order
    )
    if not reports:
        _not_understood()
    return ReportMessage(control_id=control_id, sent_at=sent_at, reports=reports)


_Reader = Callable[[str, str, Sequence[Segment]], PatientMerge | OrderMessage | ReportMessage]
_READERS: dict[str, _Reader] = {
    "ADT^A40": _merge,
    "ORM^O01": _orders,
    "OMI^O23": _orders,
    "ORU^R01": _reports,
}
KINDS = frozenset(_READERS)
"""What `parse` understands, as MSH-9.1 and MSH-9.2 say it."""
_MOMENT = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?(?:([+-])(\d\d)(\d\d))?", re.ASCII
)


def _moment(text: str | None) -> str:
    """Return a time (TS) as `firstread.clock` text, "" for none."""
    if not text:
        return ""
    found = _MOMENT.fullmatch(text)
    if not found:
        _not_understood()
    *numbers, fraction, sign, hours, minutes = found.groups(default="")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    try:
        zone = timezone(offset) if sign else UTC
        moment = datetime(year, month, day, hour, minute, second, int(fraction.ljust(6, "0")), zone)
        return to_text(moment)
    except (ValueError, OverflowError):
        _not_understood()


def _not_understood() -> NoReturn:
    raise FeedError(Reason.FEED_NOT_UNDERSTOOD)
