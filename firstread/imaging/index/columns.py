"""Which elements of a header the index reads, and the typed columns that are made of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from firstread.imaging.index.values import (
    age_years,
    body_parts,
    code,
    day,
    integer,
    number,
    sex,
    uid,
    words,
)

Value = str | int | float | bool | date | list[str] | None
Texts = Mapping[int, bytes]
"""Elements by tag, as bytes of text; numbers of binary VRs written out, values apart by backslashes."""

NUMBER_OF_FRAMES, CHARACTER_SET = 0x00280008, 0x00080005
BORN, STUDY_DATE, AGE = 0x00100030, 0x00080020, 0x00101010
IMAGE_TYPE, PIXEL_SPACING, POSITION, ORIENTATION = 0x00080008, 0x00280030, 0x00200032, 0x00200037
DETECTOR_SPACING, NOMINAL_SPACING = 0x00181164, 0x00182010


@dataclass(frozen=True)
class Column:
    """A column made of one element.

    Parameters
    ----------
    name
        As queries have it.
    tag, vr
        The element, and the VR that PS3.6 gives it.
    read
        Makes a value of its text; None where there is none.
    """

    name: str
    tag: int
    vr: str
    read: Callable[[str], Value]


COLUMNS: tuple[Column, ...] = (
    Column("sop_class_uid", 0x00080016, "UI", uid),
    Column("sop_uid", 0x00080018, "UI", uid),
    Column("study_uid", 0x0020000D, "UI", uid),
    Column("series_uid", 0x0020000E, "UI", uid),
    Column("frame_of_reference_uid", 0x00200052, "UI", uid),
    Column("patient_id", 0x00100020, "LO", code),
    Column("patient_age_raw", AGE, "AS", code),
    Column("patient_sex_raw", 0x00100040, "CS", code),
    Column("patient_sex", 0x00100040, "CS", sex),
    Column("patient_weight_kg", 0x00101030, "DS", number),
    Column("patient_size_m", 0x00101020, "DS", number),
    Column("modality", 0x00080060, "CS", code),
    Column("image_type", IMAGE_TYPE, "CS", words),
    Column("body_part_raw", 0x00180015, "CS", code),
    Column("body_parts", 0x00180015, "CS", body_parts),
    Column("laterality", 0x00200060, "CS", code),
    Column("image_laterality", 0x00200062, "CS", code),
    Column("view_position", 0x00185101, "CS", code),
    Column("patient_position", 0x00185100, "CS", code),
    Column("study_date", STUDY_DATE, "DA", day),
    Column("series_date", 0x00080021, "DA", day),
    Column("acquisition_date", 0x00080022, "DA", day),
    Column("study_description", 0x00081030, "LO", code),
    Column("series_description", 0x0008103E, "LO", code),
    Column("protocol_name", 0x00181030, "LO", code),
    Column("manufacturer", 0x00080070, "LO", code),
    Column("model_name", 0x00081090, "LO", code),
    Column("series_number", 0x00200011, "IS", integer),
    Column("acquisition_number", 0x00200012, "IS", integer),
    Column("instance_number", 0x00200013, "IS", integer),
    Column("rows", 0x00280010, "US", integer),
    Column("columns", 0x00280011, "US", integer),
    Column("samples_per_pixel", 0x00280002, "US", integer),
    Column("photometric_interpretation", 0x00280004, "CS", code),
    Column("bits_allocated", 0x00280100, "US", integer),
    Column("bits_stored", 0x00280101, "US", integer),
    Column("pixel_representation", 0x00280103, "US", integer),
    Column("slice_thickness_mm", 0x00180050, "DS", number),
    Column("gantry_tilt_degrees", 0x00181120, "DS", number),
    Column("kvp", 0x00180060, "DS", number),
    Column("tube_current_ma", 0x00181151, "IS", number),
    Column("exposure_mas", 0x00181152, "IS", number),
    Column("convolution_kernel", 0x00181210, "SH", words),
    Column("contrast_agent", 0x00180010, "LO", code),
    Column("field_strength_t", 0x00180087, "DS", number),
    Column("repetition_time_ms", 0x00180080, "DS", number),
    Column("echo_time_ms", 0x00180081, "DS", number),
    Column("inversion_time_ms", 0x00180082, "DS", number),
    Column("flip_angle_degrees", 0x00181314, "DS", number),
    Column("rescale_slope", 0x00281053, "DS", number),
    Column("rescale_intercept", 0x00281052, "DS", number),
    Column("units", 0x00541001, "CS", code),
    Column("decay_correction", 0x00541102, "CS", code),
)

APART: tuple[tuple[str, int, str], ...] = (
    ("TemporalPositionIndex", 0x00209128, "UL"),
    ("TemporalPositionIdentifier", 0x00200100, "IS"),
    ("DiffusionBValue", 0x00189087, "FD"),
    ("EchoTime", 0x00180081, "DS"),
    ("EffectiveEchoTime", 0x00189082, "FD"),
    ("EchoNumbers", 0x00180086, "IS"),
    ("NominalPercentageOfCardiacPhase", 0x00209241, "FL"),
    ("TriggerTime", 0x00181060, "DS"),
    ("InversionTime", 0x00180082, "DS"),
    ("StackID", 0x00209056, "SH"),
    ("AcquisitionNumber", 0x00200012, "IS"),
    ("FrameType", 0x00089007, "CS"),
    ("ImageType", IMAGE_TYPE, "CS"),
    ("FrameReferenceTime", 0x00541300, "DS"),
    ("AcquisitionTime", 0x00080032, "TM"),
    ("ContentTime", 0x00080033, "TM"),
)
"""What `firstread.imaging.slices.keys_of` looks at, in its order."""

WANTED: dict[int, str] = {
    **{each.tag: each.vr for each in COLUMNS},
    **{tag: vr for _, tag, vr in APART},
    CHARACTER_SET: "CS",
    BORN: "DA",
    NUMBER_OF_FRAMES: "IS",
    POSITION: "DS",
    ORIENTATION: "DS",
    PIXEL_SPACING: "DS",
    DETECTOR_SPACING: "DS",
    NOMINAL_SPACING: "DS",
}
"""Tags that are read, with their VRs."""

NESTED: frozenset[int] = frozenset(
    {
        0x00041220,  # Directory Record Sequence
        0x00081115,  # Referenced Series Sequence
        0x00186011,  # Sequence of Ultrasound Regions
        0x00620002,  # Segment Sequence
        0x30060010,  # Referenced Frame of Reference Sequence
        0x30060020,  # Structure Set ROI Sequence
        0x300C0002,  # Referenced RT Plan Sequence
        0x300C0060,  # Referenced Structure Set Sequence
        0x52009229,  # Shared Functional Groups Sequence
        0x52009230,  # Per-Frame Functional Groups Sequence
    }
)
"""Sequences that the index looks into; what has one is read by pydicom."""


_NOTHING: dict[str, Value] = dict.fromkeys((*(each.name for each in COLUMNS), "patient_age_years"))
_BY_TAG = {tag: [each for each in COLUMNS if each.tag == tag] for tag in WANTED}
_AGES = (AGE, BORN, STUDY_DATE)


class Typed:
    """Makes columns of headers; what is as in the header before it, is not made again."""

    def __init__(self) -> None:
        self._texts: Texts = {}
        self._values = _NOTHING
        self._decode: Callable[[bytes], str] | None = None

    def row(self, texts: Texts, decode: Callable[[bytes], str]) -> dict[str, Value]:
        """Return the columns of a header.

        Parameters
        ----------
        texts
            Its elements.
        decode
            Makes text of bytes, by the Specific Character Set.
        """
        if decode is not self._decode:
            self._texts, self._values, self._decode = {}, _NOTHING, decode
        found = dict(self._values)
        changed = {tag for tag, _ in texts.items() ^ self._texts.items()}
        for tag in changed:
            text = texts.get(tag)
            for each in _BY_TAG.get(tag, ()):
                found[each.name] = None if text is None else each.read(decode(text))
        if not changed.isdisjoint(_AGES):
            found["patient_age_years"] = age_years(*(decode(texts.get(each, b"")) for each in _AGES))
        self._texts, self._values = texts, found
        return found.copy()
