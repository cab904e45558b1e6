"""Figures of pixels, of phantoms whose noise, clipping and padding are known."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, build, figures
from tests.support.phantoms import image, planes, series
from tests.unit.imaging.index.test_build import SAMPLES, save, write

Pixels = npt.NDArray[Any]
RNG = np.random.default_rng(9)
SIDE = 128


def picture(values: Pixels, number: int = 1, **attributes: object) -> Dataset:
    """Return an image of given stored values."""
    made = image(planes([3.0 * number])[0], number)
    made.Rows, made.Columns = values.shape[:2]
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.BitsAllocated = made.BitsStored = 8 * values.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelData = values.tobytes()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def flat_with_noise(sigma: float, middle: float = 1024.0) -> Pixels:
    return np.rint(RNG.normal(middle, sigma, (SIDE, SIDE))).astype("<u2")


def measured(tmp_path: Path, images: list[Dataset]) -> list[dict[str, Any]]:
    build(write(tmp_path / "in", images), tmp_path / "out", quality=True)
    table = Index.open(tmp_path / "out").query("SELECT * FROM quality ORDER BY ALL")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, 7.0), (-2.0, 0.0)])
def test_noise_is_in_the_units_of_the_modality(slope: float, intercept: float, tmp_path: Path) -> None:
    factors = {"RescaleSlope": slope, "RescaleIntercept": intercept, "Modality": "MR"}
    values = [flat_with_noise(10.0) for _ in range(9)]
    (row,) = measured(tmp_path, [picture(each, number + 1, **factors) for number, each in enumerate(values)])
    ends = sorted((np.min(values) * slope + intercept, np.max(values) * slope + intercept))
    assert row["noise"] == pytest.approx(10.0 * abs(slope), rel=0.03)
    assert [row["lowest"], row["highest"]] == ends
    assert row["mean"] == pytest.approx(np.mean(values) * slope + intercept)
    assert (row["images"], row["measured"], row["frames"], row["reason"]) == (9, 9, 9, None)
    assert (row["padding"], row["clipped_low"], row["clipped_high"], row["constant_frames"]) == (0, 0, 0, 0)
    assert row["at_lowest"] * 9 * SIDE * SIDE == np.count_nonzero(
        values == (np.min if slope > 0 else np.max)(values)
    )


def test_clipping_is_told_from_padding(tmp_path: Path) -> None:
    values = flat_with_noise(10.0).astype("<i2") - 1024
    values[:, :16] = -2048  # padding: an eighth
    values[:, 16:24] = -2048 + 5  # within the range of padding: a sixteenth
    values[0, 64:] = -32768  # 64 voxels
    values[1:3, 64:] = 32767  # 128
    of = SIDE * SIDE - 24 * SIDE
    made = picture(values)
    made.PixelPaddingValue, made.PixelPaddingRangeLimit = -2048, -2040
    (row,) = measured(tmp_path, [made, made])[:1]
    assert row["padding"] == 24 / SIDE
    assert (row["clipped_low"], row["clipped_high"]) == (64 / of, 128 / of)
    assert (row["at_lowest"], row["at_highest"]) == (64 / of, 128 / of)
    assert (row["lowest"], row["highest"]) == (-32768 - 1024, 32767 - 1024)
    assert row["noise"] == pytest.approx(10.0, rel=0.05)


def test_a_range_that_is_not_used_up_is_saturated_without_being_clipped(tmp_path: Path) -> None:
    values = np.minimum(flat_with_noise(10.0), 1024)
    (row, *_) = measured(tmp_path, [picture(values, each) for each in (1, 2)])
    assert row["clipped_high"] == 0
    assert row["at_highest"] == pytest.approx(0.5, abs=0.05)
    (row, *_) = measured(
        tmp_path / "12", [picture(values + 3071, each, BitsStored=12, HighBit=11) for each in (1, 2)]
    )
    assert row["clipped_high"] == row["at_highest"] > 0.4


def test_padding_of_signed_voxels_that_is_given_as_unsigned(tmp_path: Path) -> None:
    values = flat_with_noise(3.0).astype("<i2")
    values[:, :32] = -2000
    made = picture(values)
    made.add_new(0x00280120, "US", 63536)
    made["PixelPaddingValue"].VR = "US"
    (row,) = measured(tmp_path, [made])
    assert (row["padding"], row["lowest"] > -100) == (0.25, True)


def test_constant_and_empty_slices(tmp_path: Path) -> None:
    made = [picture(flat_with_noise(5.0), number) for number in (1, 2, 3)]
    made.append(picture(np.full((SIDE, SIDE), 9, "<u2"), 4))
    made.append(picture(np.full((SIDE, SIDE), 77, "<u2"), 5))
    for each in made:
        each.PixelPaddingValue = 77
    (row,) = measured(tmp_path, made)
    assert (row["constant_frames"], row["empty_frames"], row["frames"]) == (1, 1, 5)
    assert row["lowest"] == 9 - 1024
    assert row["noise"] == pytest.approx(5.0, rel=0.06)
    assert row["padding"] == 0.2
    assert row["at_lowest"] == 0.25
    sql = "SELECT path FROM pixels WHERE empty_frames > 0"
    assert Index.open(tmp_path / "out").query(sql).to_pylist() == [{"path": "004.dcm"}]


def test_a_modality_table(tmp_path: Path) -> None:
    made = picture(np.tile(np.array([[0, 1], [2, 3]], "|u1"), (16, 16)))
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4, 0, 16], "US"
    item.LUTData = np.array([100, 200, 300, 1000], "<u2").tobytes()
    made.ModalityLUTSequence = [item]
    (row,) = measured(tmp_path, [made])
    assert (row["lowest"], row["highest"], row["mean"], row["at_highest"]) == (100, 1000, 400, 0.25)
    assert (row["clipped_low"], row["noise"]) == (0.25, None)


def test_floats_have_no_ends_and_what_is_no_number_is_padding(tmp_path: Path) -> None:
    made = picture(flat_with_noise(1.0))
    values = RNG.normal(0.0, 0.25, (SIDE, SIDE)).astype("<f4")
    values[:, :32], values[:, 32:48] = np.nan, -9.0
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    del made.RescaleSlope, made.RescaleIntercept
    made.BitsAllocated, made.FloatPixelData, made.FloatPixelPaddingValue = 32, values.tobytes(), -9.0
    (row,) = measured(tmp_path, [made])
    assert (row["clipped_low"], row["clipped_high"], row["padding"]) == (None, None, 0.375)
    assert row["noise"] == pytest.approx(0.25, rel=0.06)
    assert row["lowest"] == values[:, 48:].min()


def test_frames_of_one_image_are_taken_together(tmp_path: Path) -> None:
    values = np.stack([flat_with_noise(4.0), np.full((SIDE, SIDE), 5, "<u2"), flat_with_noise(4.0)])
    made = picture(values[0], NumberOfFrames=3, PixelData=values.tobytes())
    del made.ImagePositionPatient
    (row,) = measured(tmp_path, [made])
    assert (row["frames"], row["constant_frames"], row["lowest"]) == (3, 1, 5 - 1024)
    assert row["at_lowest"] == pytest.approx(1 / 3)
    assert row["noise"] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda each: each.__delattr__("PixelData"), "no_pixels"),
        (lambda each: each.__setattr__("PixelData", each.PixelData[:-100]), "not_decoded"),
        (
            lambda each: each.__setattr__("PhotometricInterpretation", "YBR_FULL"),
            "not_decoded",
        ),
    ],
)
def test_an_image_that_cannot_be_decoded_is_listed_with_its_reason(
    break_it: Callable[[Dataset], None], reason: str, tmp_path: Path
) -> None:
    made = series()
    break_it(made[3])
    found = build(write(tmp_path / "in", made), tmp_path / "out", quality=True)
    assert (found.measured, found.not_measured) == (27, {reason: 1})
    index = Index.open(tmp_path / "out")
    (row,) = index.query("SELECT * FROM quality").to_pylist()
    assert (row["images"], row["measured"], row["reason"]) == (28, 27, reason)
    (bad,) = index.query("SELECT * FROM pixels WHERE reason IS NOT NULL").to_pylist()
    assert (bad["path"], bad["reason"], bad["voxels"]) == ("003.dcm", reason, None)


def test_a_series_that_is_no_volume_is_measured_too(tmp_path: Path) -> None:
    made = series(planes([0.0, 3.0]))
    made[1].ImagePositionPatient = [float(each) + 50 for each in made[0].ImagePositionPatient[:2]] + [
        made[0].ImagePositionPatient[2]
    ]
    found = measured(tmp_path, made)
    assert Index.open(tmp_path / "out").series()[0]["geometry"] == "refused"
    assert [(row["images"], row["measured"], row["number"]) for row in found] == [(2, 2, 0)]


def test_each_volume_of_a_series_has_its_own(tmp_path: Path) -> None:
    made = [picture(flat_with_noise(3.0), number) for number in range(1, 9)]
    for number in range(9, 20):
        made.append(picture(np.full((64, 64), 7, "<u2"), number))
    rows = measured(tmp_path, made)
    assert [(row["number"], row["images"], row["constant_frames"]) for row in rows] == [
        (0, 11, 11),
        (1, 8, 0),
    ]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files whose pixels are read from now on."""
    asked: list[str] = []
    real = figures.figures

    def figures_of(path: Path) -> dict[str, Any]:
        asked.append(path.name)
        return real(path)

    monkeypatch.setattr(figures, "figures", figures_of)
    return asked


def test_only_what_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write(tmp_path / "in", series()), tmp_path / "out"
    assert build(folder, out).measured == 0
    assert Index.open(out).query("SELECT * FROM quality").num_rows == 0
    assert build(folder, out, quality=True).measured == 28
    before = Index.open(out).query("SELECT * FROM quality").to_pylist()
    asked = watched(monkeypatch)
    assert build(folder, out, quality=True).measured == 28
    assert build(folder, out).measured == 28
    assert not asked
    assert Index.open(out).query("SELECT * FROM quality").to_pylist() == before
    os.utime(folder / "003.dcm", (1, 1))
    (folder / "020.dcm").unlink()
    assert build(folder, out).measured == 26
    assert build(folder, out, quality=True).measured == 27
    assert asked == ["003.dcm"]


def test_killed_among_pixels_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write(tmp_path / "in", series()), tmp_path / "out"
    real = figures.figures

    def until_the_tenth(path: Path) -> dict[str, Any]:
        if path.name == "010.dcm":
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(figures, "figures", until_the_tenth)
        with pytest.raises(KeyboardInterrupt):
            build(folder, out, quality=True)
    assert Index.open(out).series("instances = 28")
    asked = watched(monkeypatch)
    found = build(folder, out, quality=True)
    assert (found.measured, len(asked)) == (28, 18)
    assert not list((out / "parts").iterdir())


def test_one_frame_is_held_at_a_time(tmp_path: Path) -> None:
    values = np.stack([flat_with_noise(4.0)] * 40)
    made = picture(values[0], NumberOfFrames=40, PixelData=values.tobytes())
    save(tmp_path / "in", "cine", made)
    figures.figures(tmp_path / "in" / "cine")
    tracemalloc.start()
    found = figures.figures(tmp_path / "in" / "cine")
    (_, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["frames"] == 40
    assert peak < values.nbytes


def test_the_samples_of_pydicom_are_measured_or_listed(tmp_path: Path) -> None:
    found = build(SAMPLES, tmp_path, quality=True)
    index = Index.open(tmp_path)
    (images,) = index.query("SELECT count(*) AS n FROM instances WHERE is_image").to_pylist()
    assert found.measured + sum(found.not_measured.values()) == images["n"]
    assert found.measured > 50
    asked = "SELECT count(*) AS n FROM volumes ANTI JOIN quality USING (study_uid, series_uid, number)"
    assert index.query(asked).to_pylist() == [{"n": 0}]


def test_bytes_that_change_between_the_passes_are_a_reason(tmp_path: Path) -> None:
    assert figures.figures(tmp_path / "nothing") == {"reason": "not_opened"}
    (tmp_path / "text").write_text("not dicom", encoding="utf-8")
    assert figures.figures(tmp_path / "text") == {"reason": "not_decoded"}


def test_the_quality_of_compressed_voxels_is_that_of_plain_ones(tmp_path: Path) -> None:
    plain = picture(flat_with_noise(6.0))
    packed = picture(flat_with_noise(6.0))
    packed.PixelData = plain.PixelData
    packed.file_meta.MediaStorageSOPInstanceUID = packed.SOPInstanceUID = UID("2.25.99")
    with quiet():
        packed.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    for name, each in (("plain", plain), ("packed", packed)):
        save(tmp_path, name, each)
    assert figures.figures(tmp_path / "plain") == figures.figures(tmp_path / "packed")
