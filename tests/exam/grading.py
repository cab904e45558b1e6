"""Answer one question about one output."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset

from tests.exam.evidence import Output, element_at, folded, text_of, tidy
from tests.exam.key import Action, Question
from tests.exam.leaks import needles
from tests.exam.planter import lenient
from tests.exam.worlds import Worlds, days_between, recomputable

STRICT = "safe-harbor-strict"
_UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.(0|[1-9][0-9]*))+")
_FOREIGN_META = (0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020100, 0x00020102)


class Grader:
    """Grades the outputs of one tool.

    Parameters
    ----------
    worlds
        What all its outputs together say.
    profile
        ``longitudinal`` or ``safe-harbor-strict``.
    """

    def __init__(self, worlds: Worlds, profile: str) -> None:
        self._worlds = worlds
        self._strict = profile == STRICT
        self._checks: Mapping[Action, Callable[[Output, FileDataset, Question], bool]] = {
            Action.TAG_RETAINED: self._tag_retained,
            Action.TEXT_NOTNULL: lambda _o, d, q: bool(_value(d, q)),
            Action.TEXT_RETAINED: self._text_retained,
            Action.TEXT_REMOVED: self._text_removed,
            Action.DATE_SHIFTED: self._date_shifted,
            Action.UID_CHANGED: self._uid_changed,
            Action.UID_CONSISTENT: lambda _o, d, q: worlds.uid_is_unique(q.text, _value(d, q)),
            Action.PATID_CONSISTENT: self._patient,
            Action.PIXELS_HIDDEN: self._hidden,
            Action.PIXELS_RETAINED: self._pixels,
            Action.YIELD: lambda _o, _d, _q: True,
            Action.FILE_CLEAN: self._file_clean,
            Action.MARKING: self._marking,
            Action.LINK_STRENGTH: self._link,
            Action.AGE_OVER_89: self._age,
        }

    def passes(self, output: Output, question: Question) -> bool:
        """Tell whether the question is answered rightly; a withheld or unreadable file answers nothing."""
        if output.dataset is None:
            return False
        return self._checks[question.action](output, output.dataset, question)

    @staticmethod
    def _tag_retained(_output: Output, dataset: FileDataset, question: Question) -> bool:
        return element_at(dataset, question.path) is not None

    @staticmethod
    def _text_retained(_output: Output, dataset: FileDataset, question: Question) -> bool:
        value = _value(dataset, question)
        if not question.whole:
            return tidy(question.text) in value
        return value == tidy(question.text) or _same_numbers(value, question.text)

    @staticmethod
    def _text_removed(_output: Output, dataset: FileDataset, question: Question) -> bool:
        element = element_at(dataset, question.path, nearest=True)
        value = text_of(element)
        if folded(question.text) in folded(value):
            return False
        if element is None or not isinstance(element.value, bytes):
            return True
        return not any(needle in element.value.lower() for needle in needles(question.text))

    def _date_shifted(self, output: Output, dataset: FileDataset, question: Question) -> bool:
        value = _value(dataset, question)
        if self._strict:
            return value == "" or (value[:4] == question.text[:4] and value[4:8] in ("", "0101"))
        if self._worlds.one_shift_for_all:
            return False
        shift = days_between(question.text, value)
        same = shift == self._worlds.shifts.get(output.key.patient)
        return same and shift not in (None, 0) and value[8:] == question.text[8:]

    @staticmethod
    def _uid_changed(output: Output, dataset: FileDataset, question: Question) -> bool:
        value = _value(dataset, question)
        return bool(_UID.fullmatch(value)) and value not in output.original_uids

    def _patient(self, output: Output, dataset: FileDataset, question: Question) -> bool:
        value = _value(dataset, question)
        return bool(value) and self._worlds.patient_is_unique(output.key.patient, value)

    @staticmethod
    def _hidden(output: Output, dataset: FileDataset, _question: Question) -> bool:
        before, after = pixels(output.original), pixels(dataset)
        if before is None or after is None or before.shape != after.shape:
            return False
        for box in output.key.boxes:
            rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
            ink = before[0, rows, columns] > 64
            for frame in after[:, rows, columns]:
                if abs(float(frame[ink].mean()) - float(frame[~ink].mean())) > 4:
                    return False
        return True

    @staticmethod
    def _pixels(output: Output, dataset: FileDataset, _question: Question) -> bool:
        source = output.original
        if source.get("PixelData") is not None and source.get("PixelData") == dataset.get("PixelData"):
            return True
        before, after = pixels(source), pixels(dataset)
        return before is not None and after is not None and np.array_equal(before, after)

    @staticmethod
    def _file_clean(output: Output, dataset: FileDataset, _question: Question) -> bool:
        meta = dataset.file_meta
        source = output.raw[:132]
        return (
            source == bytes(128) + b"DICM"
            and not any(tag in meta for tag in _FOREIGN_META)
            and meta.get("MediaStorageSOPInstanceUID") == dataset.get("SOPInstanceUID")
            and not any(tag > 0x7FE00010 for tag in dataset.keys())
        )

    def _marking(self, output: Output, dataset: FileDataset, _question: Question) -> bool:
        codes = {
            str(item.get("CodeValue")) for item in dataset.get("DeidentificationMethodCodeSequence") or []
        }
        dates = str(dataset.get("LongitudinalTemporalInformationModified", ""))
        kept_dates = bool(codes & {"113106", "113107"})
        honest = dates == ("MODIFIED" if "113107" in codes else "UNMODIFIED" if kept_dates else "REMOVED")
        claims = {
            "113105": bool(dataset.get("StudyDescription") or dataset.get("SeriesDescription")),
            "113107": bool(dataset.get("StudyDate")) and not self._strict,
            "113108": bool(dataset.get("PatientSex") or dataset.get("PatientWeight")),
            "113109": bool(dataset.get("DeviceSerialNumber")),
        }
        still_burned = bool(output.key.boxes) and not self._hidden(output, dataset, _question)
        return (
            str(dataset.get("PatientIdentityRemoved", "")) == "YES"
            and "113100" in codes
            and honest
            and all(code in codes for code, claimed in claims.items() if claimed)
            and not (still_burned and str(dataset.get("BurnedInAnnotation", "")) == "NO")
        )

    @staticmethod
    def _link(output: Output, dataset: FileDataset, _question: Question) -> bool:
        source = output.original
        for keyword in (
            "PatientID",
            "PatientName",
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
        ):
            before, after = str(source.get(keyword, "")), str(dataset.get(keyword, ""))
            if before == after != "" or recomputable(before, after):
                return False
        return not recomputable(str(source.get("PatientID", "")), str(dataset.get("PatientName", "")))

    @staticmethod
    def _age(_output: Output, dataset: FileDataset, question: Question) -> bool:
        digits = re.match(r"\d+", _value(dataset, question))
        return digits is None or int(digits[0]) <= 90


def _value(dataset: FileDataset, question: Question) -> str:
    return tidy(text_of(element_at(dataset, question.path)))


def _same_numbers(value: str, wanted: str) -> bool:
    try:
        return [float(part) for part in value.split("\\")] == [float(part) for part in wanted.split("\\")]
    except ValueError:
        return False


def pixels(dataset: FileDataset) -> npt.NDArray[np.integer[Any]] | None:
    """Return decoded pixels with the frames first, or None."""
    try:
        with lenient():
            found: npt.NDArray[np.integer[Any]] = dataset.pixel_array
    except Exception:  # no pixels, or none that can be decoded
        return None
    return found if int(dataset.get("NumberOfFrames") or 1) > 1 else found[None]
