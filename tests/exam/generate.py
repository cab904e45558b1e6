"""Write an exam: input files and the key that says what must become of them."""

import hashlib
import random
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset

from tests.exam import bases, documents, elsewhere
from tests.exam.bases import Base
from tests.exam.free_text import FreeText
from tests.exam.identity import Identity, facts, identity
from tests.exam.key import KEY_FILE, Action, FileKey, Key, Secret, unique
from tests.exam.people import Patient, People
from tests.exam.planter import Place, lenient
from tests.exam.rows import Deck
from tests.exam.spellings import secrets

FIRST, RESEND = "first", "resend"
_ROWS_PER_FILE = 60
_MODALITIES = ("CT", "MR", "CR", "DX", "US")


@dataclass
class Exam:
    """The exam in the making.

    Parameters
    ----------
    folder
        Where inputs are written.
    rng
        The only source of chance.
    deck
        Rows of the table, dealt over all files.
    key
        To be extended.
    """

    folder: Path
    rng: random.Random
    deck: Deck
    key: Key
    made: int = 0

    def uid(self) -> str:
        """Return a new UID of an imaginary vendor."""
        return f"1.2.826.0.1.3680043.10.1462.{self.rng.randrange(10**14, 10**15)}"


@dataclass
class Chart:
    """What the files of one patient have in common."""

    patient: Patient
    secrets: list[Secret]
    studies: tuple[str, str]
    series: tuple[str, str]
    frame: str
    instances: list[str]

    def linked(self, study: int) -> str:
        """Return what links files of the patient: an empty Patient ID never links studies."""
        patient = self.patient
        return f"{patient.issuer}|{patient.patient_id}" if patient.patient_id else self.studies[study]


def generate(folder: Path, seed: int, patients: int) -> Key:
    """Write the inputs below `folder`, and the key beside them.

    Parameters
    ----------
    folder
        Made where it is missing: `input/first`, `input/resend`, `key.json`.
    seed
        The same seed gives the same exam to the byte.
    patients
        How many.
    """
    rng = random.Random(f"exam/{seed}/{patients}")  # noqa: S311 - not a secret
    exam = Exam(folder / "input", rng, Deck(rng), Key(seed, []))
    for patient in People(seed).patients(patients):
        chart = Chart(
            patient,
            unique(secrets(patient)),
            (exam.uid(), exam.uid()),
            (exam.uid(), exam.uid()),
            exam.uid(),
            [],
        )
        _images(exam, chart)
        _special(exam, chart)
        _resends(exam, chart)
    exam.key.save(folder / KEY_FILE)
    return exam.key


def _images(exam: Exam, chart: Chart) -> None:
    number = chart.patient.number
    for turn in range(2):
        _image(exam, chart, bases.generated("CT", exam.rng, number + turn), 0, FIRST)
    other = _MODALITIES[1 + number % (len(_MODALITIES) - 1)]
    _image(exam, chart, bases.generated(other, exam.rng, number // 2), 1, FIRST)
    _image(exam, chart, bases.sample(number), 1, FIRST)


def _resends(exam: Exam, chart: Chart) -> None:
    """Make what comes later: an image of a known study, which must meet the same surrogates."""
    _image(exam, chart, bases.generated("CT", exam.rng, chart.patient.number), 0, RESEND)


def _special(exam: Exam, chart: Chart) -> None:
    patient = chart.patient
    if patient.number % 4 == 0:
        lines = [patient.performing.last.upper(), patient.patient_id or patient.phone]
        base, boxes = bases.burned(lines, 1 + 3 * (patient.number % 8 == 0), exam.rng)
        key = _start(exam, chart, "burned", 1, FIRST, base.modality)
        key.boxes = boxes
        place, found = _planted(exam, chart, key, base, 1)
        place.key.ask(Action.PIXELS_HIDDEN, "", "burned-in name and number")
        _write(exam, chart, place, base, found)
    kinds = tuple(documents.PLANTS)
    _document(exam, chart, kinds[patient.number % len(kinds)])


def _document(exam: Exam, chart: Chart, kind: str) -> None:
    patient = chart.patient
    name = f"{patient.performing.first} {patient.performing.cores[0]} {patient.accessions[0]}"
    base = bases.document(kind, name, patient.number)
    key = _start(exam, chart, "documents", 1, FIRST, kind)
    place, found = _planted(exam, chart, key, base, 1)
    documents.PLANTS[kind](place, patient, found, FreeText(patient, 1, exam.rng))
    implicit, little = base.syntax.is_implicit_VR, base.syntax.is_little_endian
    elsewhere.private_and_unknown(place, patient, implicit=implicit, little=little)
    _write(exam, chart, place, base, found)


def _start(exam: Exam, chart: Chart, group: str, study: int, turn: str, modality: str) -> FileKey:
    exam.made += 1
    name = f"{turn}/{exam.made:04d}-{modality.lower()}.dcm"
    key = FileKey(name, group, chart.linked(study), secrets=list(chart.secrets))
    for action in elsewhere.ASKED_OF_EVERY_FILE:
        key.ask(action, "", "file")
    exam.key.files.append(key)
    return key


def _planted(exam: Exam, chart: Chart, key: FileKey, base: Base, study: int) -> tuple[Place, Identity]:
    """Plant what every object carries."""
    with lenient():
        elsewhere.bare(base.dataset)
    place = Place(base.dataset, key)
    found = Identity(chart.studies[study], chart.series[study], exam.uid(), chart.frame, study, exam.made)
    identity(place, chart.patient, found, base.modality)
    place.fact("SOPClassUID", base.sop_class, "well-known UID")
    facts(place, base.modality, exam.rng, exam.made)
    return place, found


def _image(exam: Exam, chart: Chart, base: Base, study: int, turn: str) -> None:
    key = _start(exam, chart, "images", study, turn, base.modality)
    place, found = _planted(exam, chart, key, base, study)
    key.ask(Action.PIXELS_RETAINED, "", "pixels")
    text = FreeText(chart.patient, study, exam.rng)
    text.plant(place, 12)
    text.plain_facts(place)
    text.beyond_the_table(place, 5)
    elsewhere.references(place, found, chart.instances[-2:])
    elsewhere.nested(place, chart.patient, found, text, exam.rng)
    implicit, little = base.syntax.is_implicit_VR, base.syntax.is_little_endian
    elsewhere.private_and_unknown(place, chart.patient, implicit=implicit, little=little)
    elsewhere.bulk(place, chart.patient)
    exam.deck.deal(place, chart.patient, study, _ROWS_PER_FILE)
    chart.instances.append(found.instance)
    _write(exam, chart, place, base, found)


def _write(exam: Exam, chart: Chart, place: Place, base: Base, found: Identity) -> None:
    raw = _encoded(base, chart.patient, found)
    key = place.key
    key.sha256 = hashlib.sha256(raw).hexdigest()
    key.secrets = unique(key.secrets)
    path = exam.folder / key.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def _encoded(base: Base, patient: Patient, found: Identity) -> bytes:
    syntax = base.syntax
    meta = elsewhere.meta(patient, found, base.sop_class, syntax)
    target = BytesIO()
    with lenient():
        for tag in [tag for tag in base.dataset.keys() if tag.group in (0x0002, 0xFFFC)]:
            del base.dataset[tag]
        file = FileDataset("", base.dataset, preamble=elsewhere.preamble(patient), file_meta=meta)
        pydicom.dcmwrite(
            target,
            file,
            enforce_file_format=True,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
        )
    raw = target.getvalue()
    if not syntax.is_deflated:
        raw += elsewhere.trailer(patient, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian)
    return raw
