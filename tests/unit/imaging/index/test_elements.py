"""The fast reader returns what pydicom returns, or leaves the file to it."""

import io
import json
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from firstread.dicom.silence import quiet
from firstread.imaging.elements import Head, NotDicomError, OddError, TruncatedError
from firstread.imaging.index import elements, through_pydicom
from firstread.imaging.index.elements import Elements
from firstread.imaging.index.record import PER_PLANE, Reader
from firstread.imaging.pixels import frame_count
from firstread.imaging.planar import spacing_mm
from firstread.imaging.slices import Keys, keys_of, slices_of
from firstread.imaging.verdict import VolumeError
from tests.support.phantoms import planes, series

SAMPLES = sorted(
    each for each in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if each.is_file()
)


def fast(data: bytes, reader: Elements | None = None) -> tuple[str, dict[int, bytes]] | str:
    try:
        syntax, found = (reader or Elements()).read(lambda count, at: data[at : at + count], len(data))
    except (OddError, NotDicomError, TruncatedError) as error:
        return type(error).__name__
    return syntax, _without_padding(found)


def by_pydicom(data: bytes) -> tuple[str, dict[int, bytes]]:
    with quiet():
        header = through_pydicom.read(io.BytesIO(data), len(data))
        return through_pydicom.syntax_of(header), _without_padding(through_pydicom.texts_of(header))


def _without_padding(texts: dict[int, bytes]) -> dict[int, bytes]:
    # pydicom takes that of Specific Character Set away as it reads.
    return {tag: each.strip(b" \0") for tag, each in texts.items()}


def encoded(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    target = io.BytesIO()
    with quiet():
        pydicom.dcmwrite(
            target,
            dataset,
            enforce_file_format=True,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
        )
    return target.getvalue()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_of_every_sample_it_returns_what_pydicom_does(path: Path) -> None:
    found = fast(path.read_bytes())
    if isinstance(found, tuple):
        assert found == by_pydicom(path.read_bytes())
    elif found == "NotDicomError":
        with pytest.raises(NotDicomError):
            by_pydicom(path.read_bytes())


def test_it_reads_most_samples_itself() -> None:
    found = [fast(path.read_bytes()) for path in SAMPLES]
    cut = [path.name for path, each in zip(SAMPLES, found, strict=True) if each == "TruncatedError"]
    assert all("truncated" in name for name in cut)
    assert sum(isinstance(each, tuple) for each in found) > 100
    assert found.count("OddError") < 60


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_row_has_the_geometry_of_the_data_set(path: Path) -> None:
    row = Reader().row(path, path.stat().st_size)
    if row["reason"] is not None or not row["is_image"]:
        return
    with quiet():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        count = frame_count(header)
        spacing = spacing_mm(header)
        try:
            slices = list(slices_of(header, 0, count))
        except VolumeError:
            slices = []
        numbers = [[*each.position, *each.directions.ravel(), *each.spacing] for each in slices]
        keys = [keys_of(header, frame) for frame in range(count)]
    told = row["planes"] or []
    assert [told[at : at + PER_PLANE] for at in range(0, len(told), PER_PLANE)] == numbers
    assert row["frames"] == count
    assert row["planar_spacing"] == (list(spacing) if spacing else None)
    if slices:
        assert json.loads(row["keys"]) == [_stripped(each) for each in keys]


def _stripped(keys: Keys) -> Keys:
    return {
        name: "\\".join(part.strip() for part in each.split("\\")) if isinstance(each, str) else each
        for name, each in keys.items()
    }


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_sequences_without_a_length_and_private_ones_are_passed_over(syntax: str) -> None:
    (image,) = series(planes([0.0]))
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "one"
    inner.PurposeOfReferenceCodeSequence = [Dataset()]
    inner["PurposeOfReferenceCodeSequence"].is_undefined_length = True
    image.ProcedureCodeSequence = [inner, inner]
    image["ProcedureCodeSequence"].is_undefined_length = True
    image.private_block(0x0009, "ACME", create=True).add_new(1, "OB", bytes(20_000))
    data = encoded(image, syntax)
    found = fast(data)
    if syntax == ExplicitVRBigEndian:
        assert found == "OddError"
    else:
        assert found == by_pydicom(data)
    rows, columns = by_pydicom(data)[1][0x00280010], by_pydicom(data)[1][0x00280011]
    assert (rows, columns) == (b"48", b"64")


PLAIN = [encoded(series(planes([0.0]))[0], each) for each in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)]


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from(PLAIN),
    edits=st.lists(st.tuples(st.integers(132, 1100), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 7000),
)
def test_whatever_is_broken_it_agrees_with_pydicom_or_leaves_it(
    data: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    changed = bytearray(data)
    for place, value in edits:
        changed[place] = value
    broken = bytes(changed[:-cut] if cut < len(changed) - 200 and cut else changed)
    found = fast(broken)
    if isinstance(found, tuple):
        assert found == by_pydicom(broken)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400).map(lambda tail: bytes(128) + b"DICM" + tail))
def test_any_bytes_become_a_row(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    assert Reader().row(path, len(data))["outcome"] in ("broken", "other")


def many(numbers: list[tuple[int, float, str, bool]]) -> list[bytes]:
    """Return files of a series, which differ in what they say of number, place, name, and in what they refer to."""
    made = []
    for number, place, name, undefined in numbers:
        (image,) = series(planes([place]))
        image.InstanceNumber, image.SeriesDescription = number, name
        inner = Dataset()
        inner.CodeValue = name
        image.ProcedureCodeSequence = [inner] * (number % 3)
        image["ProcedureCodeSequence"].is_undefined_length = undefined
        made.append(encoded(image, ImplicitVRLittleEndian if number % 7 == 0 else ExplicitVRLittleEndian))
    return made


_ONE = st.tuples(st.integers(1, 30), st.floats(-200, 200), st.text("ab", max_size=4), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(_ONE, min_size=3, max_size=12), st.data())
def test_what_it_remembers_of_files_before_does_not_matter(
    numbers: list[tuple[int, float, str, bool]], data: st.DataObject
) -> None:
    files = many(numbers) * 2
    for _ in range(data.draw(st.integers(0, 4))):
        which = data.draw(st.integers(0, len(files) - 1))
        changed = bytearray(files[which])
        changed[data.draw(st.integers(132, 1100))] = data.draw(st.integers(0, 255))
        files.append(bytes(changed))
    reader = Elements()
    for each in data.draw(st.permutations(files)):
        assert fast(each, reader) == fast(each)


def test_files_that_are_laid_out_alike_are_walked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    files = many([(number, 3.0, "ab", True) for number in (11, 17, 20, 23)])
    walk, walked = elements._walk, []

    def counted(head: Head) -> tuple[str, list[tuple[int, int, int]]]:
        walked.append(head)
        return walk(head)

    monkeypatch.setattr(elements, "_walk", counted)
    reader = Elements()
    assert [fast(each, reader) for each in files] == [by_pydicom(each) for each in files]
    assert len(walked) == 2


@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_part_of_a_file_is_truncated(part: float) -> None:
    for data in PLAIN:
        assert fast(data[: int(len(data) * part)]) == "TruncatedError"
