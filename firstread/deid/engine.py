"""Apply the rules to one file and write what may be passed on; pixel bytes are copied, never decoded."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import SEEK_END
from shutil import copyfileobj
from typing import IO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from firstread import __version__
from firstread.deid.elements import Element, values_of, vr_of
from firstread.deid.encode import encode
from firstread.deid.iods import text_that_must_be
from firstread.deid.marks import encoded_meta, mark, new_meta, plain
from firstread.deid.objects import clean_document, finish_document, removed_content
from firstread.deid.options import Option
from firstread.deid.rules import TEXTUAL, Action, Rules, dictionary_vr
from firstread.deid.safe_private import safe_vr
from firstread.deid.survey import survey
from firstread.deid.text import Sweep, sweep_for
from firstread.deid.values import Values, dummy, new_uid
from firstread.deid.vault import IdentityVault
from firstread.deid.vault.modules import Modules
from firstread.dicom.metadata import text
from firstread.dicom.peek import plain_text
from firstread.dicom.reader import DicomFile, is_of_the_system
from firstread.dicom.silence import quiet
from firstread.dicom.spans import copy_span
from firstread.errors import QuarantineError, Reason

_METHOD = f"FirstRead {__version__}, DICOM PS3.15 2026c Annex E"


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
    actions
        How often each `Action` was taken, at every depth; "blank" counts texts blanked in pixels.
    """

    dataset: FileDataset
    study_uid: str
    series_uid: str
    sop_uid: str
    patient: str
    actions: Mapping[str, int]


def clean_header(
    file: DicomFile, vault: IdentityVault, rules: Rules, *, checked: bool = False
) -> Deidentified:
    """De-identify the header of a file in place.

    Parameters
    ----------
    file
        As `firstread.dicom.read` gave it; its dataset is changed.
    vault
        Gives pseudonyms, new UIDs and the date shift.
    rules
        The profile.
    checked
        Whether somebody has looked at every frame; the output says so.

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
    with understood():
        rules = rules.for_class(text(dataset, "SOPClassUID"))
        found = survey(dataset, rules)
        sweep = sweep_for(found.hints)
        issuer, patient_id = text(dataset, "IssuerOfPatientID"), text(dataset, "PatientID")
        study_uid = text(dataset, "StudyInstanceUID")
        modules = Modules.of(dataset)
        method = "\\".join(filter(None, (_METHOD, removed_content(dataset))))  # LO, 1-n
    # Outside: what goes wrong in the vault is no fault of the file.
    uids, patient = vault.uids(found.uids), vault.patient(issuer, patient_id, study_uid)
    with understood():
        cleaner = _Cleaner(rules, uids, _values(sweep, patient.shift_days), sweep)
        clean_document(dataset, sweep, rules.options)
        cleaner.item(dataset)
        if rules.overlay is not None:
            for tag, value in rules.overlay.values.items():
                dataset[tag] = DataElement(tag, dictionary_vr(tag), value)
        mark(dataset, rules.options, patient.code, method, checked=checked)
        finish_document(dataset)
        sop_uid = text(dataset, "SOPInstanceUID")
        dataset.file_meta = new_meta(text(dataset, "SOPClassUID"), sop_uid, file.transfer_syntax)
        dataset.preamble = bytes(128)
        result = Deidentified(
            dataset=dataset,
            study_uid=text(dataset, "StudyInstanceUID"),
            series_uid=text(dataset, "SeriesInstanceUID"),
            sop_uid=sop_uid,
            patient=patient.code,
            actions={action.value: count for action, count in Counter(cleaner.taken).items()},
        )
    vault.keep(modules, patient, result.study_uid)
    return result


@contextmanager
def understood() -> Iterator[None]:
    """Quarantine a file whose values cannot be decoded or encoded: what is not understood cannot be cleaned."""
    try:
        with quiet():
            yield
    except QuarantineError:
        raise
    except RecursionError:
        raise QuarantineError(Reason.NESTED_TOO_DEEP) from None
    except Exception as error:
        if is_of_the_system(error):
            raise
        # pydicom may fail in any way, and its error quotes the value. `from None`: no PHI.
        raise QuarantineError(Reason.UNREADABLE) from None


def write(result: Deidentified, file: DicomFile, target: IO[bytes], pixels: IO[bytes] | None = None) -> None:
    """Write the de-identified file: new header, then the pixel data element byte for byte.

    Parameters
    ----------
    result
        What `clean_header` returned for `file`.
    file
        Where the pixel bytes are. Whatever follows them in the source is left behind.
    target
        Binary file to write to.
    pixels
        The pixel data element that goes in place of the file's; where it is None or empty, the file's is copied.

    Raises
    ------
    QuarantineError
        If the header cannot be encoded; nothing has been written then.
    """
    target.write(header(result, file.transfer_syntax))
    if pixels is not None and pixels.seek(0, SEEK_END):
        pixels.seek(0)
        copyfileobj(pixels, target)
        return
    copy_span(file.source, file.pixels.start, file.pixels.stop, target)


@lru_cache(maxsize=32)
def _values(sweep: Sweep, shift_days: int) -> Values:
    """Return the changes of values for a patient, who has many files that say the same."""
    return Values(sweep, shift_days)


@dataclass(frozen=True)
class _Cleaner:
    rules: Rules
    uids: Mapping[str, str] = field(repr=False)
    values: Values
    sweep: Sweep
    taken: list[Action] = field(default_factory=list)

    def item(self, item: Dataset, parent: int = 0) -> None:
        for tag, element in list(item.items()):
            number = int(tag)
            vr = vr_of(element, tag)
            action = self.rules.action(number, vr, parent)
            if number >> 16 & 1 and (safe := self._safe(item, number)):
                action = self._private(item, tag, safe, element)
            elif action is Action.REMOVE:
                del item[tag]
            elif vr == "SQ":
                self._sequence(item, tag, action)
            elif action is Action.KEEP and vr not in TEXTUAL:
                action = self._binary(item, tag, vr, element)
            else:
                action = self._element(item, tag, vr, action, element)
            self.taken.append(action)

    def _safe(self, item: Dataset, tag: int) -> str | None:
        return safe_vr(item, tag) if Option.RETAIN_SAFE_PRIVATE in self.rules.options else None

    def _private(self, item: Dataset, tag: BaseTag, vr: str, element: Element) -> Action:
        """Keep a safe private element, if its value is what it should be; its text is swept like any other."""
        if isinstance(element, RawDataElement) and element.VR in (None, "UN"):
            element = element._replace(VR=vr)
            item[tag] = element
        if element.VR != vr:
            del item[tag]
            return Action.REMOVE
        if vr in TEXTUAL:
            return self._element(item, tag, vr, Action.SWEEP, element)
        return self._binary(item, tag, vr, element)

    def _sequence(self, item: Dataset, tag: BaseTag, action: Action) -> None:
        if action is Action.EMPTY:
            item[tag] = DataElement(tag, "SQ", [])
            return
        # Whatever the rule for a sequence keeps, its items are cleaned by their own rules.
        for child in item[tag].value or ():
            self.item(child, int(tag))

    def _binary(self, item: Dataset, tag: BaseTag, vr: str, element: Element) -> Action:
        value = element.value
        if not isinstance(value, bytes):
            return Action.KEEP
        found = self.sweep.names_in(value)
        if not found and isinstance(element, RawDataElement):
            found = self.sweep.counts_in(value, vr, little=element.is_little_endian)
        if not found:
            return Action.KEEP
        del item[tag]
        return Action.REMOVE

    def _element(self, item: Dataset, tag: BaseTag, vr: str, action: Action, element: Element) -> Action:
        """Do what the rules say with a value; return what was done."""
        if action is Action.EMPTY:
            item[tag] = plain(tag, vr, "")
            return action
        before = values_of(item, tag, element, vr)
        if action is Action.DUMMY:
            stands_in = dummy(vr, (before or [""])[0])
            is_text = isinstance(stands_in, str)
            item[tag] = plain(tag, vr, str(stands_in)) if is_text else DataElement(tag, vr, stands_in)
        elif before is None:
            del item[tag]  # bytes that were not decoded, whatever their VR says
            return Action.REMOVE
        else:
            after = [self._changed(part, vr, action) for part in before]
            if after != before and not any(after) and int(tag) in text_that_must_be():
                after = [str(dummy(vr))]
            if after != before:
                item[tag] = _with_values(element, vr, after)
        return action

    def _changed(self, value: str, vr: str, action: Action) -> str:
        return new_uid(value, self.uids) if action is Action.UID else self.values.changed(value, vr, action)


def _with_values(element: Element, vr: str, values: list[str]) -> Element:
    text = "\\".join(values)
    if plain_text(element) is None or not text.isascii():
        return DataElement(element.tag, vr, values if len(values) > 1 else text)
    return plain(element.tag, vr, text)


def header(result: Deidentified, syntax: UID) -> bytes:
    """Return the file up to its pixel data: preamble, file meta information, dataset (PS3.10 7.1).

    Raises
    ------
    QuarantineError
        If a value cannot be encoded.
    """
    dataset = result.dataset
    with understood():
        meta = encoded_meta(dataset.file_meta)
        body = encode(dataset, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian)
    return bytes(128) + b"DICM" + meta + body
