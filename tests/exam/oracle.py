"""A perfect tool: it knows the key. It shows that 100 % can be reached, and what 100 % looks like."""

import random
import uuid
from pathlib import Path

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID

from tests.exam.evidence import read
from tests.exam.key import Action, FileKey, Key
from tests.exam.planter import lenient
from tests.exam.worlds import moved

_CODES = ("113100", "113101", "113105", "113107", "113108", "113109")


class Oracle:
    """Writes the right answer to every file of a key.

    Parameters
    ----------
    key
        The answers.
    seed
        Of the surrogates.
    """

    def __init__(self, key: Key, seed: int = 7) -> None:
        self._key = key
        self._rng = random.Random(seed)  # noqa: S311 - not a secret
        self._uids: dict[str, str] = {}
        self._patients: dict[str, tuple[str, int]] = {}

    def answer(self, inputs: Path, outputs: Path) -> None:
        """Write all outputs under the names of their inputs."""
        for file in self._key.files:
            dataset = read(inputs / file.name)
            if dataset is None:
                raise ValueError(file.name)
            target = outputs / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with lenient():
                self._file(dataset, file, target)

    def _file(self, dataset: FileDataset, file: FileKey, target: Path) -> None:
        # In the input's own order: a surrogate is drawn when its original is first met.
        code, shift = self._patients.setdefault(
            file.patient, (f"P{len(self._patients):04d}", -self._rng.randrange(400, 3000))
        )
        shifted = {
            question.path: question.text
            for question in file.questions
            if question.action is Action.DATE_SHIFTED
        }
        self._walk(dataset, "", file, shifted, shift)
        dataset.PatientID = dataset.PatientName = code
        _mark(dataset)
        if file.boxes:
            _blank(dataset, file)
        _save(dataset, target)

    def _walk(self, item: Dataset, prefix: str, file: FileKey, shifted: dict[str, str], shift: int) -> None:
        for tag in list(item.keys()):
            path = f"{prefix}{int(tag):08x}"
            element = item[tag]
            if tag.is_private or tag.group & 0xFF00 in (0x5000, 0x6000) or tag > 0x7FE00010:
                del item[tag]
            elif path in file.answers:
                _replace(item, element, file.answers[path])
            elif path in shifted:
                element.value = moved(shifted[path][:8], shift) + shifted[path][8:]
            elif element.VR == "SQ":
                for index, child in enumerate(element.value):
                    self._walk(child, f"{path}[{index}].", file, shifted, shift)
            elif element.VR == "UI":
                element.value = self._uid(str(element.value or ""))

    def _uid(self, original: str) -> str:
        if not original or original.startswith("1.2.840.10008."):
            return original
        return self._uids.setdefault(
            original, f"2.25.{uuid.UUID(int=self._rng.getrandbits(128), version=4).int}"
        )


def _replace(item: Dataset, element: DataElement, answer: str | None) -> None:
    if answer is None:
        del item[element.tag]
        return
    vr = dictionary_VR(element.tag).split(" or ")[0] if element.VR == "UN" else element.VR
    value = answer.encode() if vr in ("OB", "OW") else answer
    item[element.tag] = DataElement(element.tag, vr, None if answer == "" else value)


def _mark(dataset: FileDataset) -> None:
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.DeidentificationMethod = "oracle"
    items = []
    for code in _CODES:
        items.append(Dataset())
        items[-1].CodeValue, items[-1].CodingSchemeDesignator = code, "DCM"
    dataset.DeidentificationMethodCodeSequence = items


def _blank(dataset: FileDataset, file: FileKey) -> None:
    pixels = dataset.pixel_array.copy()
    for box in file.boxes:
        pixels[..., box.top : box.bottom, box.left : box.right] = 0
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()


def _save(dataset: FileDataset, target: Path) -> None:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    made = FileDataset("", dataset, preamble=bytes(128), file_meta=meta)
    pydicom.dcmwrite(
        target,
        made,
        enforce_file_format=True,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
    )
