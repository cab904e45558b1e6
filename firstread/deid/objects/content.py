"""Structured content: reports, key object selections, acquisition context, specimen preparation (PS3.15 E.3.4).

What a content item says depends on its concept name: the same Text Value is a finding under one and a name under
another. Values under concepts that identify go whatever they are; all others are left to the sweep and the rules.
"""

import re
from collections.abc import Iterator, Set

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from firstread.deid.objects.items import DUMMY, children, is_empty, text_of, walk
from firstread.deid.options import Option

_CONTENT, _ACQUISITION, _SPECIMEN = 0x0040A730, 0x00400555, 0x00400610
_NAME, _CODE, _MEASURED, _UNITS = 0x0040A043, 0x0040A168, 0x0040A300, 0x004008EA
_VALUE_TYPE, _NUMERIC, _FLOAT = 0x0040A040, 0x0040A30A, 0x0040A161
_RATIONAL = (0x0040A162, 0x0040A163)
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_LONG_CODES = (0x00080119, 0x00080120)
_VERIFIED, _VERIFIERS = 0x0040A493, 0x0040A073
# Value type -> its value, with what stands for one that is not there. The date is a constant and never shifted:
# a known date that was shifted would tell the shift.
_VALUES: dict[str, tuple[int, str, str]] = {
    "TEXT": (0x0040A160, "UT", DUMMY),
    "PNAME": (0x0040A123, "PN", DUMMY),
    "DATE": (0x0040A121, "DA", "19000101"),
    "DATETIME": (0x0040A120, "DT", "19000101000000"),
    "TIME": (0x0040A122, "TM", "000000"),
}
_PLAIN_VALUES = tuple(tag for tag, _, _ in _VALUES.values())

# DCM codes of PS3.16 Annex D, most of them of the observation context (TID 1001-1010).
_IDENTIFYING = frozenset(
    "121008 128774 121009 128775 121017 121022 121028 121029 121030 121031 121036 121040 121041 121043 121114 121152 "
    "121197 121434 110122 110190 111174 111700 111705 111706 111724 113870 113871 113872 113873".split()
)
# Names and serial numbers of devices; kept with the Retain Device Identity Option, and swept.
_DEVICES = frozenset("121013 121016 121193 121196 113877 113880 122143".split())
_AGE, _SEX = "121033", "121032"
_BODY = frozenset(
    {"27113001", "50373000", "29463-7", "3141-9", "8302-2", "30525-0", "397669002", "424144002"}
)
# For codes of other schemes, and private ones.
_MEANINGS = re.compile(
    r"\b(?:patient|subject|physician|doctor|radiologist|nurse|technologist|operator|observer|author|contact|person|mother"
    r"|father)(?:'?s)?(?:'s)?\s+(?:full |last |first |family |given |maiden )?(?:name|id|identifier|number|initials)\b"
    r"|\b(?:birth ?date|date of birth|dob|mrn|accession|login|telephone|phone|e-?mail|address|fax)\b"
    r"|\b(?:medical record|social security|insurance|policy) (?:number|no|id)\b"
    r"|\bname of (?:the )?(?:patient|subject)\b",
    re.IGNORECASE,
)
_AGES = re.compile(r"^(?:subject|patient)?(?:'?s)? ?age\b", re.IGNORECASE)
_OLDEST = {"a": 90.0, "mo": 1080.0, "wk": 4696.0, "d": 32872.0}  # 90 years in UCUM units


def clean(dataset: Dataset, options: Set[Option]) -> None:
    """Take the values away from content items whose concept identifies.

    Parameters
    ----------
    dataset
        Top level, with its original values.
    options
        Options that are applied.
    """
    keys = dataset.keys()
    if not (_CONTENT in keys or _ACQUISITION in keys or _SPECIMEN in keys):
        return
    identifying = _IDENTIFYING if Option.RETAIN_DEVICE_IDENTITY in options else _IDENTIFYING | _DEVICES
    for item in walk(dataset, _CONTENT, _ACQUISITION, _SPECIMEN):
        codes, meaning = _concept(item)
        if codes & identifying or _MEANINGS.search(meaning):
            _forget(item)
        elif _AGE in codes or codes & _BODY or _AGES.match(meaning):
            _characteristic(item, retained=Option.RETAIN_PATIENT_CHARACTERISTICS in options)
        elif _SEX in codes and Option.RETAIN_PATIENT_CHARACTERISTICS not in options and _CODE in item.keys():
            item[_CODE] = DataElement(_CODE, "SQ", [_code("U", "DCM", "Unknown sex")])


def _concept(item: Dataset) -> tuple[frozenset[str], str]:
    for name in children(item, _NAME):
        codes = frozenset(text_of(name, tag) for tag in (_CODE_VALUE, *_LONG_CODES))
        return codes, text_of(name, _MEANING)
    return frozenset(), ""


def _forget(item: Dataset) -> None:
    for tag in _PLAIN_VALUES:
        if tag in item.keys():
            del item[tag]
    if _MEASURED in item.keys():
        item[_MEASURED] = DataElement(_MEASURED, "SQ", [])
    if _NUMERIC in item.keys():  # of a content item macro outside of reports (PS3.3 10.2)
        del item[_NUMERIC]


def _characteristic(item: Dataset, *, retained: bool) -> None:
    """Drop a measurement of the patient, or say of an age of more than 90 years that it is 90."""
    if not retained:
        _forget(item)
        return
    for measured in [item, *children(item, _MEASURED)]:
        if _NUMERIC not in measured.keys():
            continue
        unit = next((text_of(code, _CODE_VALUE) for code in children(measured, _UNITS)), "a")
        most = _OLDEST.get(unit)
        try:
            too_old = most is not None and float(text_of(measured, _NUMERIC)) > most
        except ValueError:
            too_old = True
        if too_old:
            measured[_NUMERIC] = DataElement(_NUMERIC, "DS", f"{most or 0:.0f}")
            for tag in (_FLOAT, *_RATIONAL):
                if tag in measured.keys():
                    del measured[tag]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.add_new(_CODE_VALUE, "SH", value)
    made.add_new(_SCHEME, "SH", scheme)
    made.add_new(_MEANING, "LO", meaning)
    return made


def finish(dataset: Dataset) -> None:
    """Give a value to every content item that has lost its own (PS3.3 C.17.3.2), and keep a verification whole."""
    for item in _items(dataset):
        found = _VALUES.get(text_of(item, _VALUE_TYPE))
        if found is not None and is_empty(item, found[0]):
            tag, vr, value = found
            item[tag] = DataElement(tag, vr, value)
    if text_of(dataset, _VERIFIED) == "VERIFIED":
        _keep_verified(dataset)


def _items(dataset: Dataset) -> Iterator[Dataset]:
    return walk(dataset, _CONTENT, _ACQUISITION, _SPECIMEN)


def _keep_verified(dataset: Dataset) -> None:
    """Name a dummy for every verifying observer, as Table E.1-1 does; without any, the document is not verified.

    PS3.3 C.17.2: a VERIFIED document has at least one observer with name, organization and time. That somebody has
    verified the findings stays true when the name is gone, and the findings are not touched.
    """
    observers = children(dataset, _VERIFIERS)
    for observer in observers:
        for tag, vr, value in (
            (0x0040A075, "PN", DUMMY),
            (0x0040A027, "LO", DUMMY),
            (0x0040A030, "DT", "19000101000000"),
        ):
            if is_empty(observer, tag):
                observer[tag] = DataElement(tag, vr, value)
        if 0x0040A088 not in observer.keys():
            observer[0x0040A088] = DataElement(0x0040A088, "SQ", [])
    if not observers:
        dataset[_VERIFIED] = DataElement(_VERIFIED, "CS", "UNVERIFIED")
