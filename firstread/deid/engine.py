"""Apply the rules to one file and write what may be passed on; pixel bytes are copied, never decoded."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import IO, Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID

from firstread import __version__
from firstread.deid.rules import METHOD_CODES, Action, Option, Rules
from firstread.deid.text import Sweep, elements, sweep_for
from firstread.deid.vault import IdentityVault, PatientPseudonym
from firstread.dicom.metadata import OLDEST_YEARS, text
from firstread.dicom.reader import DicomFile, chunks, quiet, sequence_of
from firstread.errors import QuarantineError, Reason

IMPLEMENTATION_CLASS_UID = UID("2.25.323842716104098423017206171418463372143")
_DUMMIES: Mapping[str, object] = {
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "AS": "000Y",
    "IS": "0",
    "DS": "0",
    "UR": "urn:removed",
}
_CONTEXT_GROUP = re.compile(r"1\.2\.840\.10008\.6\.1\.[1-9]\d{0,3}")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|")
_SHAPES: Mapping[str, re.Pattern[str]] = {  # PS3.5 6.2
    "AS": re.compile(r"\d{3}[DWMY]|"),
    "DS": _NUMBER,
    "IS": _NUMBER,
    "TM": re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?|"),
}
_DATE_TIME = re.compile(r"(\d{8})((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[-+]\d{4})?)")
# Code values are long numbers in SNOMED CT, and versions of coding schemes are dates (PS3.3 8.8).
_CODES = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080119, 0x00080120, 0x0008010D, 0x0008010F})


@dataclass(frozen=True)
class Deidentified:
    """What came out of one file.

    Parameters
    ----------
    dataset
        The new dataset, without pixel data, with its new file meta information.
    study_uid, series_uid, sop_uid
        The pseudonymous UIDs.
    patient
        The patient's pseudonym.
    """

    dataset: FileDataset
    study_uid: str
    series_uid: str
    sop_uid: str
    patient: str


@dataclass(frozen=True)
class _Context:
    rules: Rules
    sweep: Sweep
    uids: Mapping[str, str]
    patient: PatientPseudonym


def deidentify(file: DicomFile, vault: IdentityVault, rules: Rules) -> Deidentified:
    """De-identify the header of a file in place.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it; its dataset is changed.
    vault
        Gives pseudonyms, new UIDs and the date shift.
    rules
        The profile.

    Returns
    -------
    Deidentified
        Ready for `write`.

    Raises
    ------
    QuarantineError
        If an element cannot be understood well enough to be cleaned.
    """
    dataset = file.dataset
    with _understood():
        sweep = sweep_for(dataset)
        originals = set(_uids(dataset))
        issuer, patient_id = text(dataset, "IssuerOfPatientID"), text(dataset, "PatientID")
        study_uid = text(dataset, "StudyInstanceUID")
    # Outside: what goes wrong in the vault is no fault of the file.
    uids, patient = vault.uids(originals), vault.patient(issuer, patient_id, study_uid)
    with _understood():
        context = _Context(rules=rules, sweep=sweep, uids=uids, patient=patient)
        _clean(dataset, context)
        _mark(dataset, context)
        dataset.file_meta = _new_meta(dataset, file.transfer_syntax)
        dataset.preamble = bytes(128)
        return Deidentified(
            dataset=dataset,
            study_uid=str(dataset.StudyInstanceUID),
            series_uid=str(dataset.SeriesInstanceUID),
            sop_uid=str(dataset.SOPInstanceUID),
            patient=patient.code,
        )


@contextmanager
def _understood() -> Iterator[None]:
    """Quarantine a file whose values cannot be decoded or encoded: what is not understood cannot be cleaned."""
    try:
        with quiet():
            yield
    except QuarantineError:
        raise
    except RecursionError:
        raise QuarantineError(Reason.NESTED_TOO_DEEP) from None
    except Exception:
        # pydicom may fail in any way, and its error quotes the value. `from None`: no PHI.
        raise QuarantineError(Reason.UNREADABLE) from None


def write(result: Deidentified, file: DicomFile, target: IO[bytes]) -> None:
    """Write the de-identified file: new header, then the pixel data element byte for byte.

    Parameters
    ----------
    result
        What `deidentify` returned for `file`.
    file
        Where the pixel bytes are. Whatever follows them in the source is left behind.
    target
        Binary file to write to.

    Raises
    ------
    QuarantineError
        If the header cannot be encoded; nothing has been written then.
    """
    header = BytesIO()
    with _understood():
        dcmwrite(header, result.dataset, enforce_file_format=True)
    target.write(header.getbuffer())
    for chunk in chunks(file.source, file.pixels.start, file.pixels.stop):
        target.write(chunk)


def _vr(raw: RawDataElement | DataElement, tag: BaseTag) -> str:
    if raw.VR is not None and raw.VR != "UN":
        return str(raw.VR)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN" if raw.VR else ""


def _uids(dataset: Dataset) -> Iterator[str]:
    for item, tag in elements(dataset):
        raw = item.get_item(tag)
        if not tag.is_private and _vr(raw, tag) == "UI":
            for uid in _values(item[tag].value):
                if uid and not _is_well_known(uid):
                    yield uid


def _values(value: object) -> list[str]:
    if value is None:
        return []
    parts = value if isinstance(value, MultiValue | list) else [value]
    return [str(part) for part in parts]


def _clean(item: Dataset, context: _Context) -> None:
    for tag in list(item.keys()):
        raw = item.get_item(tag)
        vr = _vr(raw, tag)
        action = context.rules.action(int(tag), vr)
        sequence = sequence_of(item, tag)
        if sequence is not None and action not in (Action.REMOVE, Action.EMPTY):
            # Whatever the rule for a sequence keeps, its items are cleaned by their own rules.
            for child in sequence:
                _clean(child, context)
        elif action is Action.KEEP:
            if raw.value and isinstance(raw.value, bytes) and context.sweep.names_in(raw.value):
                del item[tag]
        else:
            _apply(item, tag, vr, action, context)


def _apply(item: Dataset, tag: BaseTag, vr: str, action: Action, context: _Context) -> None:
    if action is Action.REMOVE:
        del item[tag]
        return
    if action in (Action.EMPTY, Action.DUMMY) or vr in ("SQ", "UN"):
        value: Any = _dummy(vr) if action is Action.DUMMY else None
    else:
        found = item[tag].value
        if isinstance(found, bytes):  # not decoded, whatever its VR says
            del item[tag]
            return
        before = _values(found)
        after = [_changed(part, tag, vr, action, context) for part in before]
        if after == before:
            return
        value = after if len(after) > 1 else "".join(after)
    if vr == "SQ":
        value = []
    item[tag] = DataElement(tag, vr, value)


def _dummy(vr: str) -> object:
    if vr in ("UL", "US", "SL", "SS", "FL", "FD", "SV", "UV"):
        return 0
    if vr in ("OB", "OW", "OF", "OD", "OL", "OV", "UN"):
        return b"\0\0"
    return _DUMMIES.get(vr, "REMOVED")


def _is_well_known(uid: str) -> bool:
    # Registered in PS3.6 Annex A (its Table A-3, context groups, is not in pydicom); the root alone proves nothing.
    return bool(UID(uid).type) or bool(_CONTEXT_GROUP.fullmatch(uid))


def _new_uid(value: str, context: _Context) -> str:
    return value if _is_well_known(value) else context.uids.get(value, "")


def _shifted(value: str, context: _Context) -> str:
    """Shift the date part of a DA or DT value (PS3.5 6.2); what is no full date becomes empty."""
    parts = _DATE_TIME.fullmatch(value.strip())
    if parts is None:
        return ""
    try:
        day = datetime.strptime(parts[1], "%Y%m%d") + timedelta(days=context.patient.shift_days)
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{parts[2]}" if day.year >= 1000 else ""


def _changed(value: str, tag: BaseTag, vr: str, action: Action, context: _Context) -> str:
    sweep = context.sweep
    if action is Action.UID:
        return _new_uid(value, context)
    if action is Action.SHIFT:
        return _shifted(value, context)
    if vr == "CS":
        return value if sweep.is_term(value) else ""
    if vr in _SHAPES:
        good = _SHAPES[vr].fullmatch(value.strip()) and not sweep.is_identifier(value)
        return _capped_age(value) if good else ""
    return sweep.clean(value, prose=tag not in _CODES)


def _capped_age(value: str) -> str:
    """Return an age of 90 years or more as 90: older people are few (45 CFR 164.514(b)(2)(i)(C))."""
    years = re.fullmatch(r"(\d{3})Y", value.strip())
    return f"{OLDEST_YEARS:03d}Y" if years and int(years[1]) > OLDEST_YEARS else value


def _mark(dataset: Dataset, context: _Context) -> None:
    """Say what was done (PS3.15 E.1.1 and E.3; codes of CID 7050)."""
    dataset.PatientID = context.patient.code
    dataset.PatientName = context.patient.code
    dataset.PatientBirthDate = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"FirstRead {__version__}, DICOM PS3.15 2026c Annex E"
    applied = [None, *sorted(context.rules.options)]
    dataset.DeidentificationMethodCodeSequence = [_code_item(option) for option in applied]
    if Option.RETAIN_MODIFIED_DATES in context.rules.options:
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"


def _code_item(option: Option | None) -> Dataset:
    code = METHOD_CODES[option]
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def _new_meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    # Made anew: the old one may name application entities and carry private information (PS3.10 7.1).
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "FIRSTREAD"
    return meta
