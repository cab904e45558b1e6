"""Apply the rules to one file and write what may be passed on; pixel bytes are copied, never decoded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from firstread.dicom.metadata import text
from firstread.dicom.reader import DicomFile, chunks, quiet, sequence_of
from firstread.errors import QuarantineError, Reason

WELL_KNOWN_UIDS = "1.2.840.10008."
"""Root of the UIDs that the standard itself assigns (PS3.6 Annex A); they identify nobody."""

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
_PROSE = frozenset({"LO", "ST", "LT", "UT", "UC", "UR"})
_STRUCTURED = frozenset({"DS", "IS", "AS", "CS"})


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
    try:
        with quiet():
            return _deidentify(file, vault, rules)
    except RecursionError:
        raise QuarantineError(Reason.NESTED_TOO_DEEP) from None
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, LookupError):
        # A value that cannot be decoded cannot be cleaned; its error would quote it. `from None`: no PHI.
        raise QuarantineError(Reason.UNREADABLE) from None


def _deidentify(file: DicomFile, vault: IdentityVault, rules: Rules) -> Deidentified:
    dataset = file.dataset
    context = _Context(
        rules=rules,
        sweep=sweep_for(dataset),
        uids=vault.uids(set(_uids(dataset))),
        patient=vault.patient(
            text(dataset, "IssuerOfPatientID"), text(dataset, "PatientID"), text(dataset, "StudyInstanceUID")
        ),
    )
    _clean(dataset, context)
    _mark(dataset, context)
    dataset.file_meta = _new_meta(dataset, file.transfer_syntax)
    dataset.preamble = bytes(128)
    return Deidentified(
        dataset=dataset,
        study_uid=str(dataset.StudyInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        sop_uid=str(dataset.SOPInstanceUID),
        patient=context.patient.code,
    )


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
    """
    with quiet():
        dcmwrite(target, result.dataset, enforce_file_format=True)
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
                if uid and not uid.startswith(WELL_KNOWN_UIDS):
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
        elif action is not Action.KEEP:
            _apply(item, tag, vr, action, context)


def _apply(item: Dataset, tag: BaseTag, vr: str, action: Action, context: _Context) -> None:
    if action is Action.REMOVE:
        del item[tag]
        return
    if action in (Action.EMPTY, Action.DUMMY) or vr in ("SQ", "UN"):
        value: Any = _dummy(vr) if action is Action.DUMMY else None
    else:
        before = _values(item[tag].value)
        after = [_changed(part, vr, action, context) for part in before]
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


def _new_uid(value: str, context: _Context) -> str:
    return context.uids.get(value, value if value.startswith(WELL_KNOWN_UIDS) else "")


def _shifted(value: str, context: _Context) -> str:
    """Shift the date part of a DA or DT value (PS3.5 6.2); what is no full date becomes empty."""
    try:
        day = datetime.strptime(value[:8], "%Y%m%d") + timedelta(days=context.patient.shift_days)
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{value[8:]}" if day.year >= 1000 else ""


def _changed(value: str, vr: str, action: Action, context: _Context) -> str:
    if action is Action.UID:
        return _new_uid(value, context)
    if action is Action.SHIFT:
        return _shifted(value, context)
    if vr in _STRUCTURED:
        return "" if context.sweep.is_identifier(value) else value
    return context.sweep.clean(value, prose=vr in _PROSE)


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
